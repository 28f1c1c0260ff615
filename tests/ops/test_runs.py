"""Runs of unequal lengths, some of them empty."""

from __future__ import annotations

import numpy as np
import pytest

from melder.ops.runs import spread


@pytest.mark.parametrize("lengths", [[], [0], [3], [2, 0, 0, 3, 1, 0]])
def test_each_thing_knows_its_run_and_its_place_there(lengths: list[int]) -> None:
    expected = [(run, place) for run, length in enumerate(lengths) for place in range(length)]
    run, place = spread(np.array(lengths, dtype=np.int64))
    assert list(zip(run.tolist(), place.tolist(), strict=True)) == expected
