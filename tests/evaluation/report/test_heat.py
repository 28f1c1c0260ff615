"""Levels of colour, and the strongest pairs."""

from __future__ import annotations

import pytest

from evaluation.report.explained import PATCHES, WORDS
from melder.evaluation.report.heat import LEVELS, even_share, levels, percent, strongest
from melder.linking.evidence import AlignedUnit


def test_what_is_no_more_than_an_even_share_has_no_colour() -> None:
    assert levels([0.25, 0.2, 0.0], even=0.25) == [0, 0, 0]


def test_the_strongest_has_the_deepest_colour_and_others_their_part_of_it() -> None:
    assert levels([0.7, 0.1, 0.5], even=0.1) == [LEVELS, 0, round(LEVELS * 4 / 6)]


def test_little_above_an_even_share_is_never_deep() -> None:
    assert levels([0.11, 0.1], even=0.1) == [1, 0]
    assert levels([0.2, 0.1], even=0.1) == [LEVELS, 0]


def test_no_values_have_no_levels() -> None:
    assert levels([], even=0.5) == []


def test_what_falls_on_no_word_counts_as_one_more() -> None:
    assert even_share(WORDS) == pytest.approx(1 / 5)


def test_a_single_word_that_takes_all_is_a_match() -> None:
    alone = AlignedUnit(modality="text", weights=((0.9,),), received=(0.9,))
    assert levels(alone.received, even_share(alone)) == [7]


def test_pairs_are_each_best_match_strongest_first() -> None:
    assert strongest(WORDS) == [(0, 2, 0.6), (1, 1, 0.5)]
    assert strongest(PATCHES) == [(0, 3, 0.7), (3, 3, 0.5), (1, 0, 0.4), (2, 0, 0.25)]


def test_distinct_pairs_share_no_patch() -> None:
    assert strongest(PATCHES, distinct=True) == [(0, 3, 0.7), (1, 0, 0.4)]


def test_shares_keep_two_digits() -> None:
    assert [percent(share) for share in (1.0, 0.26, 0.0996, 0.0994, 0.004)] == [
        "100\u00a0%", "26\u00a0%", "10\u00a0%", "9.9\u00a0%", "0.4\u00a0%"
    ]  # fmt: skip
