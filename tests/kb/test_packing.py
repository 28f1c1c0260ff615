"""What is stored of a side goes by what its tensors are declared to be, not by what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kb.made import DECLARED, contents, entity, side_of
from melder.features import Side
from melder.kb.format.packing import PackedSide, merge_rows, pack
from melder.kb.format.rounding import StorageDtype
from melder.kb.gather import gather
from melder.kb.segment import Segment, SegmentContents, segment_digest, write_segment
from melder.protocols import SideTensor
from melder.records import MelderError

ENTITIES = [entity(f"Q{number}", aliases=[f"alias {n}" for n in range(number % 3)]) for number in range(9)]
# The tensors of `kb.made` under names that no unit of Melder has.
RENAMED = {
    "text.query": "a.words",
    "text.mask": "a.there",
    "text.target": "a.mask",
    "text.present": "a.scale",
    "image.query": "b.bucket",
    "lexical.bucket": "c.hashed",
    "lexical.gram": "c.share",
}


def _renamed(declared: SideTensor) -> SideTensor:
    tokens = None if declared.tokens is None else RENAMED[declared.tokens]
    weights = None if declared.weights is None else RENAMED[declared.weights]
    return SideTensor(tokens, weights, declared.rounded)


OTHER = {RENAMED[name]: _renamed(declared) for name, declared in DECLARED.items()}


def _written(path: Path, sides: PackedSide, kind: StorageDtype) -> Segment:
    return Segment(path, write_segment(path, SegmentContents(ENTITIES[: _rows(sides)], sides), kind))


def _rows(sides: PackedSide) -> int:
    return len(sides.arrays[sides.by_row[0]])


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_names_of_tensors_do_not_matter(kind: StorageDtype, tmp_path: Path) -> None:
    side = side_of(ENTITIES)
    other = Side({RENAMED[name]: tensor for name, tensor in side.items()})
    first = _written(tmp_path / "first", pack(side, kind, DECLARED), kind)
    second = _written(tmp_path / "second", pack(other, kind, OTHER), kind)
    assert (tmp_path / "first" / "sides.bin").read_bytes() == (tmp_path / "second" / "sides.bin").read_bytes()
    assert second.side(slice(0, 9)).keys() == other.keys()
    rows = np.array([7, 0, 3])
    merged = _written(tmp_path / "merged", merge_rows([(second.sides, rows), (second.sides, rows[:1])]), kind)
    for name, expected in first.side(torch.from_numpy(np.append(rows, 7))).items():
        assert torch.equal(merged.side(slice(0, 4))[RENAMED[name]], expected), name
        assert torch.equal(gather([(second.sides, row) for row in (7, 0, 3, 7)])[RENAMED[name]], expected), name
    for segment in (first, second, merged):
        segment.close()


def test_what_must_not_be_rounded_is_not(tmp_path: Path) -> None:
    for rounded, stored in ((True, "int8"), (False, "float16")):
        packed = pack(Side({"a.vector": torch.ones(2, 3)}), "int8", {"a.vector": SideTensor(rounded=rounded)})
        assert packed.arrays["a.vector"].dtype.name == stored
        assert ("a.vector.scale" in packed.arrays) is rounded


def test_a_tensor_that_is_not_declared_is_named() -> None:
    declared = {name: form for name, form in DECLARED.items() if name != "text.target"}
    with pytest.raises(MelderError, match=r"tensor 'text\.target'; add it to its unit"):
        pack(side_of(ENTITIES), "int8", declared)


def test_two_arrays_of_one_name_are_refused() -> None:
    side = Side({**side_of(ENTITIES), "lexical.first_name": torch.zeros(9)})
    with pytest.raises(MelderError, match=r"two arrays of the name 'lexical\.first_name'; rename the tensor"):
        pack(side, "int8", {**DECLARED, "lexical.first_name": SideTensor()})


def test_a_description_that_does_not_say_what_has_no_padding_is_read(tmp_path: Path) -> None:
    """As earlier versions of Melder wrote them."""
    path = tmp_path / "segment"
    write_segment(path, contents(ENTITIES), "float32")
    described = Segment(path, segment_digest(path))
    expected = described.side(slice(0, 9))
    file = path / "segment.json"
    file.write_bytes(described.description.model_dump_json(exclude={"flat"}).encode())
    old = Segment(path, segment_digest(path))
    assert old.description.flat is None
    assert old.sides.flat == described.sides.flat
    assert all(torch.equal(tensor, expected[name]) for name, tensor in old.side(slice(0, 9)).items())
    for segment in (described, old):
        segment.close()
