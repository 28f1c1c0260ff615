"""A knowledge base cut into shards, each of which holds some of its segments as they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from melder.io.atomic import writing
from melder.kb.exemplars import dead_rows
from melder.kb.knowledge_base import KnowledgeBase
from melder.kb.manifest import CODEBOOKS, EXEMPLARS, MODEL, SEGMENTS, SegmentEntry, open_current, publish
from melder.kb.segment_reader import rows_of_identities
from melder.kb.shard_list import check_free, check_no_set, write_shards
from melder.records import MelderError

__all__ = ["split"]


def split(out: Path, whole: Path, count: int) -> int:
    """Make a directory a set of shards, each with some of the segments of a knowledge base.

    Segments are whole, so that there are no more shards than segments. Nothing is encoded; the knowledge base stays as
    it is. A cut that was stopped goes on.

    Args:
        out: Of the set.
        whole: Of the knowledge base.
        count: Shards at most.

    Returns:
        How many there are.

    Raises:
        MelderError: Something else is in the place of a shard.
    """
    check_free(out)
    check_no_set(whole)
    with KnowledgeBase.open(whole) as base:
        names = list[str]()
        for number, segments in enumerate(_even(base.generation.segments, count)):
            names.append(f"shard-{number:03d}")
            if (out / names[-1]).is_dir():
                _check_copy(base, segments, out / names[-1])
            else:
                _copy(base, segments, out / names[-1])
        write_shards(out, names)
        return len(names)


def _copy(base: KnowledgeBase, segments: Sequence[SegmentEntry], out: Path) -> None:
    with writing(out) as partial:
        shutil.copytree(base.model, partial / MODEL)
        for listed in segments:
            shutil.copytree(base.directory / SEGMENTS / listed.name, partial / SEGMENTS / listed.name)
        exemplars = _exemplars_of(base, segments)
        for listed in exemplars:
            shutil.copytree(base.directory / EXEMPLARS / listed.name, partial / EXEMPLARS / listed.name)
        if (codebook := base.generation.settings.codebook_file(base.directory)) is not None:
            (partial / CODEBOOKS).mkdir()
            shutil.copyfile(codebook.path, partial / CODEBOOKS / codebook.path.name)
        publish(partial, 1, base.generation.settings, tuple(segments), exemplars=exemplars)


def _exemplars_of(base: KnowledgeBase, segments: Sequence[SegmentEntry]) -> tuple[SegmentEntry, ...]:
    """The parts with every exemplar deleted whose entity is in none of these segments."""
    names = {listed.name for listed in segments}
    readers = [reader for reader in base.parts if reader.listed.name in names]
    identities = list({record.entity for record in base.exemplars.records})
    living = {identity for rows in rows_of_identities(readers, identities, base.records_of) for identity in rows}
    return dead_rows(base.directory, base.generation.exemplars, lambda record: record.entity not in living)


def _check_copy(base: KnowledgeBase, segments: Sequence[SegmentEntry], out: Path) -> None:
    existing, descriptor = open_current(out)
    os.close(descriptor)
    expected = (base.generation.settings, tuple(segments), _exemplars_of(base, segments))
    if (existing.settings, existing.segments, existing.exemplars) != expected:
        raise MelderError(f"{out}: is there already, and is of another cut; name another directory, or remove it first")


def _even(segments: Sequence[SegmentEntry], count: int) -> Iterable[Sequence[SegmentEntry]]:
    """Runs of segments whose numbers differ by one at most, none empty."""
    count = min(count, len(segments))
    bounds = [len(segments) * number // count for number in range(count + 1)]
    return [segments[start:stop] for start, stop in pairwise(bounds)]
