"""Rows that may be larger than memory come out as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from melder.io import scratch
from melder.io.scratch import ScratchRows, scratch_array


@pytest.mark.parametrize("held", [0, 100, 1 << 20])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_blocks_come_out_one_after_the_other(
    held: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "HELD", held)
    blocks = [np.random.default_rng(rows).random((rows, *shape)).astype(np.float32) for rows in (4, 0, 1, 30, 2)]
    rows = ScratchRows()
    for block in blocks:
        rows.append(block)
    array = rows.array()
    assert np.array_equal(array, np.concatenate(blocks))
    array[0] = 7  # as one in memory


def test_nothing_but_no_rows_is_an_array_without_rows() -> None:
    rows = ScratchRows()
    rows.append(np.zeros((0, 3), np.float16))
    assert rows.array().shape == (0, 3)


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_an_array_to_fill_has_the_rows_wanted(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "HELD", held)
    array = scratch_array(5, np.dtype(np.int32))
    array[[4, 0, 1, 2, 3]] = np.arange(5)
    assert array.tolist() == [1, 2, 3, 4, 0]
