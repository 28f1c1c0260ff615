"""Rows that are read one by one are those that are read a segment at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kb.made import build, entity
from melder.kb import KnowledgeBase, knowledge_base
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
