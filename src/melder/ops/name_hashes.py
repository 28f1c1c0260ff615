"""Into which buckets the n-grams of a name are hashed, and whole strings of its words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from melder.ops.n_grams import bucket_of, character_grams

__all__ = ["HASHES", "gram_places", "places_of_copies"]

WORDS = 1 << 16  # and runs of words whose places are remembered: some megabytes
HASHES = 3  # features of a run of words: strangers may share one of them, hardly ever two


def gram_places(name: str, buckets: int) -> Iterable[int]:
    """The bucket of each n-gram of a name: n-grams lie within words, and names share most of their words.

    Args:
        name: As it is compared.
        buckets: How many there are.

    Returns:
        Buckets, as often as their n-grams occur.
    """
    return chain.from_iterable(_places_of_word(word, buckets) for word in name.lower().split())


@lru_cache(WORDS)
def _places_of_word(word: str, buckets: int) -> tuple[int, ...]:
    return tuple(bucket_of(gram, buckets) for gram in character_grams(word))


@lru_cache(WORDS)
def places_of_copies(text: str, buckets: int) -> tuple[int, ...]:
    """Where a whole string is hashed to. The bell is in no name, so that it is never hashed as n-grams are.

    Args:
        text: One or more words of a name.
        buckets: How many there are.

    Returns:
        `HASHES` buckets.
    """
    return tuple(bucket_of(number * "\a" + text, buckets) for number in range(1, HASHES + 1))
