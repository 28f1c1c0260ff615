from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from melder.metrics import bootstrap as resampling
from melder.metrics.bootstrap import mean_intervals


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_interval_of_a_share_is_near_that_of_the_normal_approximation(share: float) -> None:
    mentions = 2000
    values = (np.arange(mentions) < share * mentions).astype(float)[:, None]
    half = 1.96 * np.sqrt(share * (1 - share) / mentions)
    assert mean_intervals(values, seed=0, resamples=4000)[0] == pytest.approx([share - half, share + half], abs=2e-3)


def test_the_interval_is_that_of_scipys_percentile_bootstrap() -> None:
    """Both from 20,000 draws: a bound's own spread is a few hundredths of the width."""
    values = np.random.default_rng(4).exponential(1.0, size=(300, 1))
    ours = mean_intervals(values, seed=0, resamples=20_000)[0]
    drawn = {"n_resamples": 20_000, "method": "percentile", "batch": 1000, "rng": np.random.default_rng(1)}
    theirs = bootstrap((values[:, 0],), np.mean, **drawn).confidence_interval
    assert ours == pytest.approx(tuple(theirs), abs=0.05 * (theirs.high - theirs.low))


def test_95_percent_of_the_intervals_hold_the_truth() -> None:
    generator = np.random.default_rng(0)
    samples = generator.exponential(1.0, size=(300, 200))  # 300 data sets of 200 mentions, true mean 1
    intervals = np.stack([mean_intervals(s[:, None], seed=i, resamples=300)[0] for i, s in enumerate(samples)])
    covered = ((intervals[:, 0] <= 1) & (intervals[:, 1] >= 1)).mean()
    assert 0.90 <= covered <= 0.985


def test_a_resample_draws_whole_mentions_for_all_figures_at_once() -> None:
    value = np.random.default_rng(1).random(50)
    first, second = mean_intervals(np.stack([value, 1 - value], axis=1), seed=3, resamples=200)
    assert second == pytest.approx(1 - first[::-1])


def test_constant_values_have_no_width() -> None:
    assert mean_intervals(np.full((7, 1), 0.25), seed=0, resamples=50).tolist() == [[0.25, 0.25]]


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    values = np.random.default_rng(2).random((100, 2))
    first = mean_intervals(values, seed=5, resamples=100)
    assert (first == mean_intervals(values, seed=5, resamples=100)).all()
    assert (first != mean_intervals(values, seed=6, resamples=100)).any()


def test_chunks_do_not_change_the_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).random((100, 2))
    whole = mean_intervals(values, seed=0, resamples=101)
    monkeypatch.setattr(resampling, "DRAWS_AT_ONCE", 700)
    assert mean_intervals(values, seed=0, resamples=101) == pytest.approx(whole)
