"""Further pictures of entities are stored without padding, and read, gathered and merged as what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kb.made import DECLARED, entity, side_of
from melder.features import Side, concatenate
from melder.kb.format.packing import bytes_restored, merge_rows, pack
from melder.kb.format.rounding import StorageDtype
from melder.kb.gather import gather
from melder.kb.manifest import SegmentEntry
from melder.kb.segment import Segment, SegmentContents, write_segment
from melder.kb.segment_reader import SegmentReader
from melder.kb.untrusted import check_segment
from melder.protocols import SideTensor
from melder.records import Entity, MelderError

FORMS = {
    **DECLARED,
    "image.further_query": SideTensor(pictures="image.further_there"),
    "image.further_there": SideTensor(pictures="image.further_there"),
}
KINDS: list[StorageDtype] = ["float32", "float16", "int8"]
THERE = [[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]  # of five entities, one of them with a gap
ROUNDED = {"float32": 0.0, "float16": 2.0**-10, "int8": 1 / 100}  # of the largest number


def made(identity: str, there: list[list[int]]) -> tuple[list[Entity], Side]:
    entities = [entity(f"{identity}{row}") for row in range(len(there))]
    side, mask = side_of(entities), torch.tensor(there, dtype=torch.bool)
    draw = torch.Generator().manual_seed(len(there))
    query = torch.randn(*mask.shape, 4, 6, generator=draw) * mask[..., None, None]
    return entities, Side({**side, "image.further_query": query, "image.further_there": mask})


def written(path: Path, entities: list[Entity], side: Side, kind: StorageDtype) -> Segment:
    return Segment(path, write_segment(path, SegmentContents(entities, pack(side, kind, FORMS)), kind))


def same(found: Side, expected: Side, kind: StorageDtype) -> bool:
    names = [name for name in expected if "further" in name]
    largest = max(float(expected[name].float().abs().max()) for name in names)
    return all(
        name in found
        and found[name].shape == expected[name].shape
        and torch.allclose(found[name].float(), expected[name].float(), rtol=0, atol=largest * ROUNDED[kind])
        for name in names
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_was_written(kind: StorageDtype, tmp_path: Path) -> None:
    entities, side = made("A", THERE)
    segment = written(tmp_path / "s", entities, side, kind)
    assert same(segment.side(slice(0, 5)), side, kind)
    rows = torch.tensor([2, 4, 0])
    narrower = Side({name: tensor[rows][:, :2] if "further" in name else tensor[rows] for name, tensor in side.items()})
    assert same(segment.side(rows), narrower, kind)
    gathered = gather([(segment.sides, row) for row in rows.tolist()])
    assert all(torch.equal(gathered[name], segment.side(rows)[name]) for name in narrower)
    assert same(segment.side(rows, ["image"]), narrower, kind)
    assert not any("further" in name for name in segment.side(rows, ["text"]))
    assert not any("further" in name for name in segment.side(torch.tensor([1, 4])))


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_rows_are_stored_as_there_are_pictures(kind: StorageDtype, tmp_path: Path) -> None:
    entities, side = made("A", THERE)
    segment = written(tmp_path / "s", entities, side, kind)
    assert segment.sides.places["image.further_query"].shape == (2 + 2 + 3, 4, 6)  # the gap is one of them
    bare = written(tmp_path / "bare", *made("A", [[0, 0]] * 5), kind)
    assert not any("further" in name for name in bare.sides.places)
    whole, without = (bytes_restored(each.sides, slice(0, 5)) for each in (segment, bare))
    assert whole - without == 5 * 3 * 4 * (4 * 6 + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_segments_with_and_without_them_are_gathered_and_merged(kind: StorageDtype, tmp_path: Path) -> None:
    first = written(tmp_path / "a", *made("A", THERE), kind)
    second = written(tmp_path / "b", *made("B", [[0]] * 3), kind)
    sides = concatenate([first.side(torch.tensor([3, 2])), second.side(torch.tensor([1]))])
    gathered = gather([(first.sides, 3), (first.sides, 2), (second.sides, 1)])
    chosen = [(second.sides, np.array([1])), (first.sides, np.array([3, 2]))]
    merged = merge_rows(chosen)
    entities = [entity(str(row)) for row in range(3)]
    path = tmp_path / "merged"
    restored = Segment(path, write_segment(path, SegmentContents(entities, merged), kind)).side(torch.tensor([1, 2, 0]))
    for name in sides:
        assert torch.equal(gathered[name], sides[name]), name
        assert torch.equal(restored[name], sides[name]), name
    assert not merge_rows([(second.sides, np.array([0])), (first.sides, np.array([1, 4]))]).pictures


def test_what_a_stranger_says_of_them_is_checked(tmp_path: Path) -> None:
    segment = written(tmp_path / "s", *made("A", THERE), "float16")
    reader = SegmentReader(segment, SegmentEntry(name="s", rows=5, digest=""))
    check_segment(reader)
    (group,) = segment.sides.pictures
    segment.sides.places["image.further_query"] = segment.sides.places["image.query"]
    with pytest.raises(MelderError, match=r"array 'image\.further_query' has 5 rows, not 7"):
        check_segment(reader)
    segment.sides.pictures = (group._replace(first="image.nowhere"),)
    with pytest.raises(MelderError, match=r"'image\.nowhere'|rows, not 5"):
        check_segment(reader)
