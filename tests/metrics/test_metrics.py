from __future__ import annotations

import json

import numpy as np
import pytest

from melder.metrics.metrics import metrics
from melder.records import MelderError, Ranks


def ranks_of(*realistic: float) -> Ranks:
    """Ranks with these realistic ones: a half means a tie of two."""
    rank = np.array(realistic)
    return Ranks(np.floor(rank).astype(np.int64), np.ceil(rank).astype(np.int64))


def test_the_keys_are_those_of_the_format() -> None:
    figures = ["hits@1", "hits@3", "hits@5", "hits@10", "hits@20", "mrr", "mr"]
    expected = {*figures, *(f"{figure}_ci" for figure in figures), "candidates", "mentions"}
    assert set(metrics(ranks_of(1, 2), candidates=5)) == expected


def test_figures_equal_hand_computation() -> None:
    result = metrics(ranks_of(1, 1.5, 3, 8, 20, 25), candidates=30)
    shares = [result[f"hits@{k}"] for k in (1, 3, 5, 10, 20)]
    assert shares == pytest.approx([1 / 6, 3 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert result["mr"] == pytest.approx(58.5 / 6)
    assert result["mrr"] == pytest.approx((1 + 1 / 1.5 + 1 / 3 + 1 / 8 + 1 / 20 + 1 / 25) / 6)
    assert (result["candidates"], result["mentions"]) == (30, 6)


def test_a_tie_for_the_first_place_is_no_hit_at_1() -> None:
    assert metrics(ranks_of(1.5), candidates=2)["hits@1"] == 0


def test_intervals_hold_their_figure_and_go_to_json() -> None:
    generator = np.random.default_rng(0)
    result = metrics(ranks_of(*generator.geometric(0.3, size=400)), candidates=100, seed=1)
    for figure in ("hits@1", "hits@10", "mrr", "mr"):
        low, high = result[f"{figure}_ci"]
        assert low <= result[figure] <= high
    assert result["mr_ci"][0] < result["mr"] < result["mr_ci"][1]
    assert json.loads(json.dumps(result)) == result


def test_no_mentions_are_an_error() -> None:
    with pytest.raises(MelderError, match="nothing to evaluate"):
        metrics(ranks_of(), candidates=5)
