"""Figures of probabilities: closed forms, and what is known of probabilities that are right by construction."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from melder.metrics.calibration import calibration, decided

FOUR = np.array([0.1, 0.4, 0.35, 0.8])
TRUE = np.array([False, False, True, True])
EVEN = np.ones(4)


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    generator = np.random.default_rng(0)
    happened, p = generator.random(60) < 0.4, generator.integers(8, size=60) / 8  # with ties
    pairs = [(p[i] > p[j]) + 0.5 * (p[i] == p[j]) for i in np.flatnonzero(happened) for j in np.flatnonzero(~happened)]
    assert calibration(happened, p, np.ones(60))["auroc"] == pytest.approx(np.mean(pairs))


def test_brier_is_that_of_scikit_learn_with_weights() -> None:
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    expected = brier_score_loss(TRUE, FOUR, sample_weight=weight)
    assert calibration(TRUE, FOUR, weight)["brier"] == pytest.approx(expected)


def test_an_event_counts_as_often_as_its_weight_says() -> None:
    weight = np.array([1, 2, 3, 1])
    once, often = (
        calibration(TRUE, FOUR, weight.astype(float)),
        calibration(TRUE.repeat(weight), FOUR.repeat(weight), np.ones(7)),
    )
    assert [once[name] for name in ("auroc", "brier", "ece")] == pytest.approx(
        [often[name] for name in ("auroc", "brier", "ece")]
    )


def test_probabilities_that_are_right_have_no_calibration_error() -> None:
    p = np.repeat([0.25, 0.75], 400)
    happened = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0])
    figures = calibration(happened, p, np.ones(800))
    assert figures["ece"] == pytest.approx(0)
    assert figures["brier"] == pytest.approx(0.25 * 0.75)
    assert [(b["low"], b["count"]) for b in figures["bins"]] == [(0.2, 400), (0.7, 400)]
    assert [b["observed"] for b in figures["bins"]] == pytest.approx([0.25, 0.75])


def test_probabilities_that_are_wrong_by_a_fifth_have_that_error() -> None:
    happened = np.arange(400) % 4 == 0
    assert calibration(happened, np.full(400, 0.45), np.ones(400))["ece"] == pytest.approx(0.2)


def test_a_bin_has_wilsons_interval() -> None:
    (bin_,) = calibration(np.arange(10) < 9, np.full(10, 0.95), np.ones(10))["bins"]
    assert bin_["observed_ci"] == pytest.approx([0.5958, 0.9821], abs=1e-4)  # Wilson's, 9 of 10
    (all_,) = calibration(np.ones(10, bool), np.full(10, 1.0), np.ones(10))["bins"]
    assert all_["observed_ci"] == pytest.approx([0.7225, 1.0], abs=1e-4)
    assert (all_["low"], all_["high"]) == (0.9, 1.0)  # a probability of 1 is in the last bin


def test_auroc_needs_both_outcomes() -> None:
    assert calibration(np.ones(4, bool), FOUR, EVEN)["auroc"] is None


def test_precision_and_recall_at_a_threshold() -> None:
    assert decided(TRUE, FOUR, EVEN, 0.35) == {"threshold": 0.35, "precision": 2 / 3, "recall": 1.0}
    assert decided(TRUE, FOUR, EVEN, 0.9) == {"threshold": 0.9, "precision": None, "recall": 0.0}
    assert decided(~TRUE & TRUE, FOUR, EVEN, 0.5)["recall"] is None
