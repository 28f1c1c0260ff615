"""Rows that are read one by one are those that are read a segment at a time."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from kb.made import build, entity
from melder.io.checksums import digest_blocks
from melder.kb import knowledge_base, open_knowledge_base
from melder.kb.format.arrays import write_arrays
from melder.kb.format.mapped_arrays import MappedArrays
from melder.kb.format.packing import PackedSide
from melder.kb.format.rounding import StorageDtype
from melder.kb.gather import gatherable
from melder.kb.manifest import SEGMENTS
from melder.records import MelderError

GROUPS = [
    [entity(f"Q{number}", aliases=[f"alias {n}" for n in range(number % 4)]) for number in range(first, first + count)]
    for first, count in ((0, 5), (5, 1), (6, 30))
]
KINDS = get_args(StorageDtype)
ROWS = torch.tensor([35, 0, 5, 35, 4, 6, 20, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_segments_give(kind: StorageDtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with open_knowledge_base(tmp_path / "kb") as base:
        one_by_one = base.side(ROWS)
        monkeypatch.setattr(knowledge_base, "SCATTERED", 0)
        by_segment = base.side(ROWS)
        assert one_by_one.keys() == by_segment.keys()
        for name, expected in by_segment.items():
            assert one_by_one[name].dtype == expected.dtype
            assert torch.equal(one_by_one[name], expected), name


@pytest.mark.parametrize("kind", ["int8", "residual1"])
def test_only_the_units_that_are_wanted_are_read(
    kind: StorageDtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with open_knowledge_base(tmp_path / "kb") as base:
        whole = base.side(ROWS)
        for scattered in (64, 0):
            monkeypatch.setattr(knowledge_base, "SCATTERED", scattered)
            for units in (["text"], ["image"], ["lexical", "image"]):
                found = base.side(ROWS, units)
                assert {name.partition(".")[0] for name in found} == set(units)
                assert all(torch.equal(tensor, whole[name]) for name, tensor in found.items())


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_an_earlier_melder_stored_one_after_the_other_are_read(
    kind: StorageDtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "new", *GROUPS, kind=kind)
    monkeypatch.setattr(PackedSide, "by_row", [])
    build(tmp_path / "old", *GROUPS, kind=kind)
    with open_knowledge_base(tmp_path / "new") as new, open_knowledge_base(tmp_path / "old") as old:
        assert [part.segment.sides.layout is None for part in (*new.parts, *old.parts)] == [False] * 3 + [True] * 3
        for rows in (ROWS, torch.arange(len(new))):
            found, expected = old.side(rows), new.side(rows)
            assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_segments_of_several_kinds_are_read_each_as_its_own(tmp_path: Path) -> None:
    """As those of shards may be."""
    kinds: dict[StorageDtype, MappedArrays] = {}
    for kind in ("float32", "float16", "int8"):
        build(tmp_path / kind, GROUPS[2], kind=kind)
        with open_knowledge_base(tmp_path / kind) as base:
            kinds[kind] = base.parts[0].segment.sides
    assert gatherable([kinds["int8"], kinds["int8"]])
    assert not gatherable(list(kinds.values()))
    with open_knowledge_base(tmp_path / "float32") as first, open_knowledge_base(tmp_path / "int8") as second:
        expected = [base.side(torch.tensor([4, 7]), ["text"]) for base in (first, second)]
        first.parts += second.parts
        first._first = [0, 30, 60]
        found = first.side(torch.tensor([4, 34, 7, 37]), ["text"])
    for row, side in zip((slice(0, None, 2), slice(1, None, 2)), expected, strict=True):
        assert all(torch.equal(found[name][row], tensor) for name, tensor in side.items())


@pytest.fixture(scope="module")
def segments_of_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 entities, each in a segment of its own."""
    out = tmp_path_factory.mktemp("segments") / "kb"
    build(out, *([entity(f"Q{number}")] for number in range(300)))
    return out


@pytest.mark.parametrize(("allowed", "files"), [(100, 25), (1 << 20, 256), (resource.RLIM_INFINITY, 256)])
def test_no_more_files_stay_open_than_the_system_allows(
    allowed: int, files: int, segments_of_one: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (allowed, allowed))
    with open_knowledge_base(segments_of_one) as base:
        assert [each.id for each in base.records(range(300))] == [f"Q{number}" for number in range(300)]
        assert sum(part.segment.records._connection is not None for part in base.parts) == files


def test_units_without_anything_stored_row_by_row_are_read(tmp_path: Path) -> None:
    build(tmp_path / "kb", *GROUPS)
    with open_knowledge_base(tmp_path / "kb") as base:
        assert set(base.side(ROWS, ["lexical"])) == {"lexical.bucket", "lexical.gram"}


def test_no_rows_at_the_end_of_a_file_need_no_block(tmp_path: Path) -> None:
    whole = {"a": np.zeros((16, 2048), np.float16), "b": np.ones((16, 30), np.float16)}
    places = write_arrays(tmp_path / "sides.bin", whole, list(whole))
    arrays = MappedArrays(tmp_path / "sides.bin", places, digest_blocks(tmp_path / "sides.bin"))
    assert arrays.rows("b", slice(16, 16)).shape == (0, 30)
    assert torch.equal(arrays.rows("b", slice(3, 5)), torch.ones(2, 30, dtype=torch.float16))


@pytest.mark.parametrize(("kind", "spare"), [("int8", 64), ("residual2", 0)])
def test_what_is_known_of_an_entity_is_one_piece(kind: StorageDtype, spare: int, tmp_path: Path) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with open_knowledge_base(tmp_path / "kb") as base:
        places = [place for place in base.parts[2].segment.sides.places.values() if place.step is not None]
        step = places[0].apart
        assert {place.step for place in places} == {step}
        assert all(place.offset + place.row_bytes <= step for place in places)
        assert step - sum(place.row_bytes for place in places) < spare + 8 * (
            len(places) if spare else 1
        )  # nothing but alignment


def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    build(tmp_path / "kb", *GROUPS)
    file = tmp_path / "kb" / SEGMENTS / "s-2" / "sides.bin"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with open_knowledge_base(tmp_path / "kb") as base:
        base.side(torch.tensor([0, 5]))
        with pytest.raises(MelderError, match=r"s-2/sides.bin: block 0 .* is not what was written"):
            base.side(torch.tensor([0, 6]))
