"""Bytes of an entity against hits: what each way to store sides costs and what it leaves.

    python benchmarks/sides.py RUN [--split dev] [--mentions 600] [--storages float32 int8 residual2:8 …]

RUN is one of `melder train` on a frozen encoder whose features are stored (`data.features`). Its entities are stored as
`melder kb build --sides KIND --tokens N` would store them, in segments of a temporary directory, with a codebook of as
many entities as a build takes; then they are read from there, and every mention is ranked against all of them, exactly.
Printed: bytes an entity of all that is in `sides.bin`, of which names; H@1 and how many mentions that is apart from
float32; MRR; mentions that became a hit or are none any more; and the largest difference of a score from float32, over
a sample of pairs, as a share of the deviation of a mention's scores.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from melder.building.storage import LEAST, MOST, SHARE
from melder.features import Side, concatenate
from melder.io.checksums import WholeFile
from melder.kb.format.codebook import Codebook, CodebookFile
from melder.kb.format.fewer_tokens import with_fewer_tokens
from melder.kb.format.learning_codebooks import learn_codebook
from melder.kb.format.packing import pack
from melder.kb.format.rounding import BITS, StorageDtype
from melder.kb.segment import SEGMENT_ROWS, Segment, SegmentContents, write_segment
from melder.metrics.ranks import join, rank_of
from melder.protocols import Matcher
from melder.records import Entity, Ranks
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.directory import open_run
from melder.runs.feature_cache import stored_features
from melder.runs.model import entity_side_of, mention_side_of, score_blocks
from melder.search.bounded import CERTIFIED_FROM, BoundedSearch
from melder.search.entity_store import HeldSides
from melder.training.configuration import Configuration
from melder.training.ranking import chunks
from melder.training.split import open_data

STORAGES = [
    "float32",
    "float16",
    "int8",
    *(f"residual{bits}{n}" for n in ("", ":16", ":8", ":4", ":1") for bits in (4, 2, 1)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--mentions", type=int, default=1_000_000, help="at most, evenly")
    parser.add_argument("--storages", nargs="+", default=STORAGES, help="KIND or KIND:TOKENS")
    options = parser.parse_args()
    torch.set_num_threads(1)
    matcher, mentions, entities, gold = _sides(options.run, options.split, options.mentions)
    print(f"{options.run.name}, {options.split}: {mentions.rows:,} mentions, {entities.rows:,} entities")
    print("| sides | bytes an entity | names | H@1 | mentions apart | MRR | hits changed | scores |\n|" + " --- |" * 8)
    whole = _ranked(matcher, mentions, entities, gold)
    for storage in options.storages:
        kind, _, tokens = storage.partition(":")
        stored, size, names = _stored(matcher, entities, kind, int(tokens) if tokens else None)  # type: ignore[arg-type]
        ranks = _ranked(matcher, mentions, stored, gold)
        hits, before = (rank.realistic == 1 for rank in (ranks, whole))
        apart = _apart(matcher, mentions, entities, stored)
        print(
            f"| {storage} | {size:,.0f} | {names:,.0f} | {100 * hits.mean():.2f} | {hits.sum() - before.sum():+d} "
            f"| {100 * (1 / ranks.realistic).mean():.2f} | {(hits != before).sum()} | {apart:.3f} |",
            flush=True,
        )


def _sides(run: Path, split: str, most: int) -> tuple[Matcher, Side, Side, torch.Tensor]:
    """The run's matcher, sides of mentions that have an answer and of all entities, and the columns of the answers."""
    model, _ = open_run(run, device="cpu")
    configuration = checked(Configuration, read_yaml(run / "config.yaml"), str(run / "config.yaml"))
    dataset, where = open_data(configuration), configuration.data.features or run / "features"
    features = {
        part: stored_features(configuration, configuration.training.seed, dataset, model.encoder, part, where)[1]
        for part in ("entities", split)
    }
    column = {entity.id: number for number, entity in enumerate(dataset.entities)}
    answers = [column.get(str(mention.answer), -1) for mention in dataset.split(split)]
    rows = torch.tensor([row for row, answer in enumerate(answers) if answer >= 0])
    rows = rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()]
    mentions = mention_side_of(model.matcher, chunks(features[split][rows]))
    entities = entity_side_of(model.matcher, chunks(features["entities"]))
    return model.matcher.eval(), mentions, entities, torch.tensor(answers)[rows]


def _stored(matcher: Matcher, side: Side, kind: StorageDtype, tokens: int | None) -> tuple[Side, float, float]:
    """The side as it is read again, and bytes an entity: of everything, and of names."""
    declared = matcher.entity_tensors
    fewer = side if tokens is None else with_fewer_tokens(side, declared, tokens)
    sample = min(side.rows, MOST, max(LEAST, side.rows // SHARE))
    with tempfile.TemporaryDirectory() as folder:
        file, book = None, None
        if kind in BITS:
            book = learn_codebook(fewer.take(_evenly(side, sample)), declared, BITS[kind])
            file = _saved(Path(folder, "codebook.safetensors"), book)
        segments = [
            _segment(Path(folder, f"{start}"), pack(rows, kind, declared, book), rows.rows, kind, file)
            for start, rows in _cut(fewer)
        ]
        sizes = [segment.description.files["sides.bin"].size for segment in segments]
        names = [_bytes_of_names(segment) for segment in segments]
        read = concatenate([segment.side(slice(0, segment.rows)) for segment in segments])
        read = Side({name: tensor.clone() for name, tensor in read.items()})
        for segment in segments:
            segment.close()
    return read, sum(sizes) / side.rows, sum(names) / side.rows


def _saved(path: Path, codebook: Codebook) -> CodebookFile:
    codebook.save(path)
    return CodebookFile(path, WholeFile.of(path))


def _cut(side: Side) -> Iterator[tuple[int, Side]]:
    for start in range(0, side.rows, SEGMENT_ROWS):
        yield start, side.take(slice(start, start + SEGMENT_ROWS))


def _segment(path: Path, sides: object, rows: int, kind: StorageDtype, codebook: CodebookFile | None) -> Segment:
    entities = [Entity(id=f"{number}", name="-") for number in range(rows)]
    digest = write_segment(path, SegmentContents(entities, sides), kind)  # type: ignore[arg-type]
    return Segment(path, digest, codebook=codebook)


def _bytes_of_names(segment: Segment) -> int:
    arrays = segment.sides
    names = [name for group in arrays.flat for name in (*group.tensors, group.first_name, group.first_gram)]
    return sum(arrays.places[name].shape[0] * arrays.places[name].row_bytes for name in names)


def _ranked(matcher: Matcher, mentions: Side, entities: Side, gold: torch.Tensor) -> Ranks:
    """Exact ranks; where there are many entities, of those alone that can be ahead."""
    if entities.rows >= CERTIFIED_FROM and matcher.has_bounds:
        return BoundedSearch.build(matcher, HeldSides(entities)).ranks(mentions, gold)
    return join([rank_of(scores.total, gold[rows]) for rows, scores in score_blocks(matcher, mentions, entities)])


def _apart(matcher: Matcher, mentions: Side, entities: Side, stored: Side) -> float:
    """The largest difference of a score, as a share of the deviation of scores of one mention."""
    sample, queries = _evenly(entities, 256), mentions.take(_evenly(mentions, 32))
    sides = (entities.take(sample), stored.take(sample))
    first, second = (torch.cat([scores.total for _, scores in score_blocks(matcher, queries, side)]) for side in sides)
    return float(((first - second).abs() / first.std(dim=1, keepdim=True)).max())


def _evenly(side: Side, rows: int) -> torch.Tensor:
    return torch.arange(0, side.rows, -(-side.rows // rows))


if __name__ == "__main__":
    main()
