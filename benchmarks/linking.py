"""How fast one mention is linked, its features given, and how often as exact scoring would: docs/performance.md.

    python benchmarks/linking.py RUN --data wikimel --kb union --cache DIR
    python benchmarks/linking.py RUN --data wikimel --kb union --cache DIR --entities 50000,1000000 --threads 1

Knowledge bases of so many entities (default: all of --kb) are made in --cache, with sides as int8: the first entities
of --kb, and then others, each another one's sides with a tenth of noise, under a name put together from two names. A
million of M3EL are 10 GB. Indexes are those that `melder kb index` makes. What is there already is not made again, so
that a benchmark that was stopped goes on; remove a size's figures.json to measure it again. With --features and
--kb-features (what `melder features` wrote) nothing is encoded.

A link is all that `linker.link` does once features are known: the mention's side, candidates, scores, records. Each of
--links mentions of dev, evenly spaced, is linked once (blocks of files are then read and checked for the first time)
and once more, which is the time that is given first. Memory is that of a process that did nothing else, less that of
one that opened the model alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from resampling import resampled
from timing import machine, private_peak, resident

from melder.building.model import copy_run, identity_of
from melder.data import DataSet, entity_items, load
from melder.encoders import encode
from melder.evaluation.overlap import overlap_at_k
from melder.kb import open_knowledge_base
from melder.kb.format.packing import pack
from melder.kb.inspection import information
from melder.kb.manifest import CURRENT, MODEL, SEGMENTS, KnowledgeBaseSettings, SegmentEntry, publish
from melder.kb.segment import SEGMENT_ROWS, SegmentContents, segment_digest, write_segment
from melder.linking.exact import ExactLinker
from melder.linking.opening import open_linker
from melder.linking.resolver import Features
from melder.records import Entity, Item, Link, Mention
from melder.runs.directory import open_run, read_configuration, seed_of, versions
from melder.runs.feature_cache import ENTITIES, StoredFeatures, stored_features
from melder.runs.model import Model
from melder.search.stored import find_search, store_search

ALONE = 3  # mentions that exact scoring is timed on one at a time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the data set of the mentions")
    parser.add_argument("--kb", type=Path, required=True, help="the data set of the entities")
    parser.add_argument("--features", type=Path, help="of the mentions")
    parser.add_argument("--kb-features", type=Path, help="of the entities")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--entities", default="", help="sizes, such as 50000,1000000; default: all of --kb")
    parser.add_argument("--links", type=int, default=1000)
    parser.add_argument("--exact", type=int, default=200, help="mentions that agreement is measured on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--searches", nargs="+", default=["flat", "hnsw", "certified"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    known = load(options.kb, text_field=read_configuration(options.run).data.text_field)
    sizes = [int(size) for size in options.entities.split(",") if size] or [len(known.entities)]
    for size in sizes:
        path = make(options, known, size)
        show(figures(options, path), options)


def make(options: argparse.Namespace, known: DataSet, size: int) -> Path:
    """The knowledge base of this size."""
    path, real = options.cache / f"{size}", min(size, len(known.entities))
    if (path / CURRENT).is_file():
        return path
    base = make(options, known, real) if size > real else None
    if not (path / MODEL).is_dir():
        path.mkdir(parents=True, exist_ok=True)
        copy_run(options.run, path)
    listed = list(real_segments(options, known, path, real) if base is None else more_segments(base, path, size))
    publish(
        path, 1, KnowledgeBaseSettings(kind="int8", pictures="none", identity=identity_of(path / MODEL)), tuple(listed)
    )
    return path


def real_segments(options: argparse.Namespace, known: DataSet, path: Path, count: int) -> Iterator[SegmentEntry]:
    """Of the first entities of the data set."""
    configuration = read_configuration(options.run)
    model, modalities = open_run(path / MODEL)[0], frozenset(configuration.data.modalities)
    if options.kb_features is not None:
        model.stored = stored(options, model, [(known, ENTITIES, options.kb_features)])
    for start in range(0, count, SEGMENT_ROWS):
        some = known.entities[start : min(start + SEGMENT_ROWS, count)]

        def contents(some: Sequence[Entity] = some) -> SegmentContents:
            items = entity_items(some, known, model.encoder.separator, modalities)
            return SegmentContents(some, pack(model.entity_side(items), "int8", model.matcher.entity_tensors))

        yield segment(path, start // SEGMENT_ROWS, len(some), contents)
        print(f"\r{start + len(some):,} of {count:,} entities", end="", flush=True)


def more_segments(base: Path, path: Path, size: int) -> Iterator[SegmentEntry]:
    """Those of `base`, which share its disk space, and of entities that are made of its."""
    with open_knowledge_base(base) as known:
        matcher, own = open_run(path / MODEL)[0].matcher, known.generation.segments
        for listed in own:
            if not (path / SEGMENTS / listed.name).is_dir():
                shutil.copytree(base / SEGMENTS / listed.name, path / SEGMENTS / listed.name, copy_function=os.link)
            yield listed
        for start in range(len(known), size, SEGMENT_ROWS):
            number, count = len(own) + (start - len(known)) // SEGMENT_ROWS, min(SEGMENT_ROWS, size - start)

            def contents(start: int = start, count: int = count) -> SegmentContents:
                entities, side = resampled(known, matcher, start, count)
                return SegmentContents(entities, pack(side, "int8", matcher.entity_tensors))

            yield segment(path, number, count, contents)
            print(f"\r{start + count:,} of {size:,} entities", end="", flush=True)


def segment(path: Path, number: int, rows: int, contents: Callable[[], SegmentContents]) -> SegmentEntry:
    name = f"{number:06d}-{0:012x}"
    if not (path / SEGMENTS / name).is_dir():
        write_segment(path / SEGMENTS / name, contents(), "int8")
    return SegmentEntry(name=name, rows=rows, digest=segment_digest(path / SEGMENTS / name))


def stored(options: argparse.Namespace, model: Model, parts: Sequence[Features]) -> StoredFeatures:
    configuration, known = read_configuration(options.run), StoredFeatures()
    for dataset, part, where in parts:
        known.add(*stored_features(configuration, seed_of(options.run), dataset, model.encoder, part, where))
    return known


def figures(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    """What was measured before, and now the rest."""
    file = path / "figures.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    with open_knowledge_base(path) as base:
        prepared = {listed.search for listed in base.generation.indexes}
        found["entities"] = len(base)
    for name in options.searches:
        if name not in prepared:
            start = time.perf_counter()
            with private_peak() as peak:
                store_search(path, name, lambda title, total: lambda done: None)
            found[f"built {name}, MB"] = peak["most"] - peak["before"]
            found[f"built {name}"] = time.perf_counter() - start
            file.write_text(json.dumps(found), encoding="utf-8")
    jobs = {"model": only_model, "exact": exact} | dict.fromkeys(options.searches, searched)
    for name, job in jobs.items():
        if name not in found:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[name] = pool.apply(job, (options, path, name))
            file.write_text(json.dumps(found), encoding="utf-8")
            print(f"\r{path.name}: {name} is measured", flush=True)
    with open_knowledge_base(path) as base:
        told = information(base)
    found["bytes"] = sum(told["bytes_per_entity"].values())
    found["indexes"] = {name: each["bytes"] / found["entities"] for name, each in told["indexes"].items()}
    return found


def only_model(options: argparse.Namespace, path: Path, name: str) -> dict[str, Any]:
    """The memory of a process that has linked, but to nothing: its encoder and heads are loaded, and were used."""
    torch.set_num_threads(options.threads)
    model, _ = open_run(path / MODEL)
    model.mention_side([Item("warm", None, ("warm",))])
    return {"memory": resident()}


def exact(options: argparse.Namespace, path: Path, name: str) -> dict[str, Any]:
    linker, mentions = opened(options, path)
    times = timed(linker, mentions[:ALONE])
    some = mentions[: options.exact]
    links = linker.link(some, 10)
    return {"again": times, "links": [link.model_dump(mode="json") for link in links], "memory": resident()}


def searched(options: argparse.Namespace, path: Path, name: str) -> dict[str, Any]:
    linker, mentions = opened(options, path)
    start = time.perf_counter()
    linker.search = find_search(name, linker.model.matcher, linker.source)
    result: dict[str, Any] = {"opened": time.perf_counter() - start}
    first, again = timed(linker, mentions), timed(linker, mentions)
    result |= {"first": first, "again": again, "memory": resident()}
    result["scored"] = linker.search.scored / len(mentions) / 2 / len(linker.source)
    if name == "certified":  # the best one alone needs far fewer scores than the best ten
        result["best"] = timed(linker, mentions[: options.exact], 1)
    result["links"] = [link.model_dump(mode="json") for link in linker.link(mentions[: options.exact], 10)]
    return result


def timed(linker: ExactLinker, mentions: Sequence[Mention], k: int = 10) -> list[float]:
    """Seconds that each took."""
    times = []
    for mention in mentions:
        start = time.perf_counter()
        linker.link([mention], k)
        times.append(time.perf_counter() - start)
    return times


def opened(options: argparse.Namespace, path: Path) -> tuple[ExactLinker, Sequence[Mention]]:
    """The linker, which knows the features of dev, and the mentions."""
    torch.set_num_threads(options.threads)
    data = load(options.data, text_field=read_configuration(options.run).data.text_field)
    features = [] if options.features is None else [(data, "dev", options.features)]
    linker = open_linker(path / MODEL, open_knowledge_base(path), data=data)
    assert isinstance(linker, ExactLinker)
    linker.nil = None  # which would look at more candidates than are asked for
    mentions = data.split("dev")
    chosen = mentions[:: max(1, len(mentions) // options.links)][: options.links]
    if features:
        linker.model.stored = stored(options, linker.model, features)
    else:
        linker.model.stored = StoredFeatures()
        items = linker.items(chosen)
        linker.model.stored.add(items, encode(linker.model.encoder, items, batch_size=64))
    return linker, chosen


def show(found: Mapping[str, Any], options: argparse.Namespace) -> None:
    real = [Link.model_validate(link) for link in found["exact"]["links"]]
    print(f"\n{machine(versions())}\n")
    print(f"{found['entities']:,} entities, {options.threads} thread(s); ten candidates a mention,")
    print(f"medians of {options.links:,} mentions; agreement on {len(real):,}; {found['bytes']:,.0f} bytes an entity\n")
    print(
        "| | p50, ms | p95, ms | p50 at first, ms | best as exact | best ten as exact | pairs scored | RssAnon, MB | "
        "RssFile, MB | built, s | its RssAnon, MB | opened, s | bytes an entity |"
    )
    print("| --- | " + "--- | " * 12)
    p50, p95 = 1e3 * np.quantile(found["exact"]["again"], [0.5, 0.95])
    print(f"| exact | {p50:.0f} | {p95:.0f} | | | | 100 % | | | | | | |")
    for name in options.searches:
        print(row(name, found, real))


def row(name: str, found: Mapping[str, Any], real: Sequence[Link]) -> str:
    each = found[name]
    same = overlap_at_k(real, [Link.model_validate(link) for link in each["links"]])
    p50, p95 = 1e3 * np.quantile(each["again"], [0.5, 0.95])
    best = f" ({1e3 * np.median(each['best']):.1f} for the best one)" if "best" in each else ""
    more = {kind: each["memory"][kind] - found["model"]["memory"][kind] for kind in each["memory"]}
    cells = [
        name,
        f"{p50:.1f}{best}",
        f"{p95:.1f}",
        f"{1e3 * np.median(each['first']):.1f}",
        f"{same['top_1']:.1%}",
        f"{same['top_10']:.1%}",
        f"{each['scored']:.3%}",
        f"{more['RssAnon']:.0f}",
        f"{more['RssFile']:.0f}",
        f"{found.get(f'built {name}', float('nan')):.0f}",
        f"{found.get(f'built {name}, MB', float('nan')):.0f}",
        f"{each['opened']:.1f}",
        f"{found['indexes'][name]:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
