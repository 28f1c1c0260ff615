"""Rows that are read one by one are those that are read a segment at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kb.made import build, entity
from melder.kb import KnowledgeBase, knowledge_base, segment
from melder.kb.manifest import SEGMENTS
from melder.kb.packing import Kind
from melder.records import MelderError

GROUPS = [
    [entity(f"Q{number}", aliases=[f"alias {n}" for n in range(number % 4)]) for number in range(first, first + count)]
    for first, count in ((0, 5), (5, 1), (6, 30))
]
COLUMNS = torch.tensor([35, 0, 5, 35, 4, 6, 20, 1])


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_it_is_what_segments_give(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "kb", *GROUPS, kind=kind)
    with KnowledgeBase.open(tmp_path / "kb") as base:
        one_by_one = base.side(COLUMNS)
        monkeypatch.setattr(knowledge_base, "SCATTERED", 0)
        by_segment = base.side(COLUMNS)
        assert one_by_one.keys() == by_segment.keys()
        for name, expected in by_segment.items():
            assert one_by_one[name].dtype == expected.dtype
            assert torch.equal(one_by_one[name], expected), name


def test_only_the_units_that_are_wanted_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "kb", *GROUPS, kind="int8")
    with KnowledgeBase.open(tmp_path / "kb") as base:
        whole = base.side(COLUMNS)
        for scattered in (64, 0):
            monkeypatch.setattr(knowledge_base, "SCATTERED", scattered)
            for units in (["text"], ["image"], ["lexical", "image"]):
                found = base.side(COLUMNS, units)
                assert {name.partition(".")[0] for name in found} == set(units)
                assert all(torch.equal(tensor, whole[name]) for name, tensor in found.items())


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_arrays_that_an_earlier_melder_stored_one_after_the_other_are_read(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "new", *GROUPS, kind=kind)
    monkeypatch.setattr(segment, "row_arrays", lambda arrays: [])
    build(tmp_path / "old", *GROUPS, kind=kind)
    with KnowledgeBase.open(tmp_path / "new") as new, KnowledgeBase.open(tmp_path / "old") as old:
        assert [part.segment.sides.record is None for part in (*new.parts, *old.parts)] == [False] * 3 + [True] * 3
        for columns in (COLUMNS, torch.arange(len(new))):
            found, expected = old.side(columns), new.side(columns)
            assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_what_is_known_of_an_entity_is_one_piece(tmp_path: Path) -> None:
    build(tmp_path / "kb", *GROUPS, kind="int8")
    with KnowledgeBase.open(tmp_path / "kb") as base:
        places = [place for place in base.parts[2].segment.sides.places.values() if place.step is not None]
        step = places[0].apart
        assert {place.step for place in places} == {step}
        assert all(place.offset + place.row_bytes <= step for place in places)
        assert step - sum(place.row_bytes for place in places) < 64 + 8 * len(places)  # nothing but alignment


def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    build(tmp_path / "kb", *GROUPS)
    file = tmp_path / "kb" / SEGMENTS / "s-2" / "sides.bin"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with KnowledgeBase.open(tmp_path / "kb") as base:
        base.side(torch.tensor([0, 5]))
        with pytest.raises(MelderError, match=r"s-2/sides.bin: block 0 .* is not what was written"):
            base.side(torch.tensor([0, 6]))
