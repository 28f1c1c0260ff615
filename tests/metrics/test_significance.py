from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from melder.metrics import significance
from melder.metrics.significance import holm, paired_difference, sign_flip


def every_sign(differences: list[float]) -> float:
    """The definition, one assignment of signs after the other, in exact arithmetic."""
    sums = [math.fsum(s * d for s, d in zip(signs, differences, strict=True)) for signs in _signs(len(differences))]
    observed = abs(math.fsum(differences))
    return sum(abs(each) >= observed - 1e-12 for each in sums) / len(sums)


def _signs(count: int) -> itertools.product[tuple[int, ...]]:
    return itertools.product((-1, 1), repeat=count)


RANKS = st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 12.0])


@given(st.lists(st.tuples(RANKS, RANKS), min_size=1, max_size=9))
def test_few_mentions_give_the_p_of_all_assignments_of_signs(ranks: list[tuple[float, float]]) -> None:
    """Reciprocal ranks, whose sums often are equal but for rounding: 1/3 + 1/6 = 1/2."""
    differences = [1 / one - 1 / other for one, other in ranks]
    assert sign_flip(differences) == pytest.approx(every_sign(differences), abs=1e-12)


def permutation_p(differences: npt.ArrayLike, draws: float) -> float:
    """SciPy's p, by enumeration where the draws are more than all assignments."""
    tested = permutation_test(
        (np.asarray(differences),),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=1000,
        rng=np.random.default_rng(9),
    )
    return float(tested.pvalue)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9))
def test_few_mentions_give_the_p_of_scipys_enumeration(differences: list[int]) -> None:
    """Whole numbers, whose sums are exact: SciPy misses some that are equal but for rounding."""
    assert sign_flip(differences) == pytest.approx(permutation_p(differences, math.inf))


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2])
def test_many_mentions_give_the_p_of_scipys_draws(shift: float) -> None:
    """Of 10,000 draws the standard error of p is at most 0.005."""
    differences = np.random.default_rng(8).normal(shift, 1.0, size=100)
    assert sign_flip(differences) == pytest.approx(permutation_p(differences, 10_000), abs=0.025)


@pytest.mark.parametrize(("wins", "losses"), [(9, 4), (3, 13), (40, 22), (70, 70)])
def test_hits_give_the_p_of_a_sign_test(wins: int, losses: int) -> None:
    differences = np.array([1.0] * wins + [-1.0] * losses + [0.0] * 500)
    expected = binomtest(wins, wins + losses).pvalue
    assert sign_flip(differences, seed=1, draws=40_000) == pytest.approx(expected, abs=6e-3)


def test_many_mentions_give_the_p_of_the_normal_limit() -> None:
    differences = np.random.default_rng(0).normal(0.04, 1.0, size=3000)
    z = abs(differences.sum()) / math.sqrt((differences**2).sum())  # a random sign has variance 1
    assert sign_flip(differences, seed=2) == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.01)


def test_p_is_uniform_and_intervals_hold_zero_when_nothing_differs() -> None:
    generator = np.random.default_rng(3)
    ranks = generator.geometric(0.4, size=(400, 2, 60))
    found = [paired_difference(1 / one, 1 / other, seed=i, resamples=400) for i, (one, other) in enumerate(ranks)]
    for level in (0.05, 0.2, 0.5):
        false = np.mean([each.p <= level for each in found])
        assert abs(false - level) < 4 * math.sqrt(level * (1 - level) / len(found))
    held = np.mean([each.interval[0] <= 0 <= each.interval[1] for each in found])
    assert 0.90 <= held <= 0.985


def test_a_difference_is_that_of_second_less_first() -> None:
    first, second = np.zeros(200), np.repeat([1.0, 0.0], 100)
    found = paired_difference(first, second)
    assert found.mean == 0.5
    assert found.interval == pytest.approx((0.5 - 0.0693, 0.5 + 0.0693), abs=0.01)
    assert found.p == 1 / 10_001  # no random assignment reaches it, and p is never 0
    assert paired_difference(second, first).mean == -0.5


def test_what_makes_a_mention_hard_for_both_does_not_widen_the_interval() -> None:
    hard = np.random.default_rng(4).random(500)
    low, high = paired_difference(hard, hard + 0.1).interval
    assert high - low < 1e-12


def test_equal_systems_do_not_differ() -> None:
    found = paired_difference([1.0, 0.5], [1.0, 0.5])
    assert (found.mean, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_the_same_seed_gives_the_same_outcome_and_another_seed_another() -> None:
    first, second = np.random.default_rng(5).random((2, 100))
    assert paired_difference(first, second, seed=1) == paired_difference(first, second, seed=1)
    assert paired_difference(first, second, seed=1) != paired_difference(first, second, seed=2)


def test_blocks_of_draws_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(6).normal(0.15, 1.0, size=100)
    whole = sign_flip(differences)
    monkeypatch.setattr(significance, "DRAWS_AT_ONCE", 12_345)
    assert sign_flip(differences) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 0.0]), ([[1.0]], [[0.0]])])
def test_values_of_other_mentions_are_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="values of the same mentions"):
        paired_difference(first, second)


def test_holm_equals_a_computation_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.99))
def test_holm_rejects_what_the_procedure_of_steps_rejects(p: list[float], level: float) -> None:
    """Holm's own words: go up from the smallest p while p_(i) ≤ level / (m − i + 1), and stop at the first above."""
    order, rejected = sorted(range(len(p)), key=lambda number: p[number]), set[int]()
    for done, number in enumerate(order):
        if p[number] * (len(p) - done) > level:
            break
        rejected.add(number)
    assert {number for number, each in enumerate(holm(p)) if each <= level} == rejected
