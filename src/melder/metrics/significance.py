"""Whether two systems differ on the same mentions: a paired interval, a sign-flip test, a correction for several.

Everything reads d = second − first, a value for each mention (its reciprocal rank, its hit at 1 …). With several
seeds, give each mention's mean over the seeds: the mentions are what is drawn from a population, not the runs.

* interval: the percentile bootstrap of mean(d); whole mentions are drawn, so that what makes a mention hard for
  both systems cancels (Efron & Tibshirani 1993, chapter 13).
* p: were the systems exchangeable, each d could as well have had the other sign. p is the share of all assignments
  of signs whose `|mean(d)|` is at least the one observed (Fisher 1935, §21; Noreen 1989, chapter 2): exact by
  enumeration where few mentions differ, else (1 + hits) / (1 + draws) of random signs, which is never 0 and never
  too small on average (Phipson & Smyth 2010).
* holm: p-values of several declared comparisons, adjusted so that the chance of any false one stays below the level
  (Holm 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melder.metrics.bootstrap import mean_intervals

__all__ = ["Difference", "holm", "paired_difference", "sign_flip"]

Values = npt.NDArray[np.float64]

ENUMERATED = 16  # mentions that differ; up to so many, all 2^16 assignments of signs are tried
DRAWS_AT_ONCE = 2_000_000  # random signs held together: 16 MB
ROUNDING = 1e-9  # of the sum of |d|: sums that differ by less are equal but for the order of their terms


@dataclass(frozen=True)
class Difference:
    """mean(second) − mean(first), its 95 % interval (low, high), and the two-sided sign-flip p.

    Args:
        mean: Of the differences.
        interval: Low and high, 95 %.
        p: Two-sided, by flipping signs.
    """

    mean: float
    interval: tuple[float, float]
    p: float


def paired_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, seed: int = 0, resamples: int = 10_000
) -> Difference:
    """The difference of two systems, from the values [mentions] of each, mention by mention in the same order.

    The outcome is a function of the arguments alone.

    Args:
        first: Values [mentions] of one system.
        second: Of the other.
        seed: Of the resamples.
        resamples: How many are drawn, for the interval and for p.

    Returns:
        The second's mean less the first's, with its interval.

    Raises:
        ValueError: The shapes are not one and the same [mentions] or there is no mention.
    """
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if before.ndim != 1 or before.shape != after.shape or not len(before):
        raise ValueError(f"values of the same mentions are compared, not of shapes {before.shape} and {after.shape}")
    difference = after - before
    low, high = mean_intervals(difference[:, None], seed, resamples)[0]
    p = sign_flip(difference, seed, resamples)
    return Difference(float(difference.mean()), (float(low), float(high)), p)


def sign_flip(differences: npt.ArrayLike, seed: int = 0, draws: int = 10_000) -> float:
    """The two-sided p of `differences` [mentions] under the hypothesis that every sign could be the other one.

    Args:
        differences: [mentions].
        seed: Of the flips.
        draws: How many are drawn.

    Returns:
        p, never 0.
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0]  # a sign more or less of these changes no sum
    observed = abs(values.sum()) - ROUNDING * np.abs(values).sum()
    if len(values) <= ENUMERATED:
        every = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float((np.abs(_sums(every, values)) >= observed).mean())
    return (1 + _random_hits(values, observed, seed, draws)) / (1 + draws)


def holm(p: npt.ArrayLike) -> Values:
    """Adjusted p-values [comparisons], in the order given: compare each with the level itself.

    Args:
        p: [comparisons], unadjusted.

    Returns:
        [comparisons], none below its unadjusted value.
    """
    unadjusted = np.asarray(p, np.float64)
    order = np.argsort(unadjusted, kind="stable")
    steps = unadjusted[order] * np.arange(len(unadjusted), 0, -1)
    adjusted = np.empty_like(unadjusted)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _random_hits(values: Values, observed: float, seed: int, draws: int) -> int:
    generator, hits = np.random.default_rng(seed), 0
    at_once = max(1, DRAWS_AT_ONCE // len(values))
    for start in range(0, draws, at_once):
        bits = generator.integers(2, size=(min(at_once, draws - start), len(values)), dtype=np.int8)
        hits += int((np.abs(_sums(bits, values)) >= observed).sum())
    return hits


def _sums(bits: npt.NDArray[np.integer], values: Values) -> Values:
    """[draws]: the sum of `values` with a plus where a bit of [draws, mentions] is 1, a minus where it is 0."""
    return np.asarray(2 * (bits.astype(np.float64) @ values) - values.sum())
