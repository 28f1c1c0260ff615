"""Places of words are remembered, but not of words without end: a service is sent those by anybody."""

from __future__ import annotations

import pytest

from melder.ops import name_hashes
from melder.ops.n_grams import bucket_of, character_grams
from melder.ops.name_hashes import REMEMBERED, gram_places, places_of_copies


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    name_hashes._known_word.cache_clear()
    name_hashes._known_copies.cache_clear()


@pytest.mark.parametrize("length", [1, REMEMBERED - 1, REMEMBERED, REMEMBERED + 1, 5000])
def test_places_are_the_same_remembered_or_not(length: int) -> None:
    word = "kitebird"[: length % 8] + "x" * (length - length % 8)
    for _ in range(2):
        assert list(gram_places(word, 1000)) == [bucket_of(gram, 1000) for gram in character_grams(word)]
        assert places_of_copies(word, 1000) == tuple(bucket_of(number * "\a" + word, 1000) for number in (1, 2, 3))


def test_what_is_long_takes_no_room() -> None:
    for number in range(100):
        list(gram_places(f"{number}" + "x" * REMEMBERED, 1000))
        places_of_copies(f"{number}" + "x" * REMEMBERED, 1000)
    assert name_hashes._known_word.cache_info().currsize == name_hashes._known_copies.cache_info().currsize == 0
    list(gram_places("red kite", 1000))
    assert name_hashes._known_word.cache_info().currsize == 2
