"""Into which buckets the n-grams of a name are hashed, and whole strings of its words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from melder.ops.n_grams import bucket_of, character_grams

__all__ = ["HASHES", "gram_places", "places_of_copies"]

WORDS = 1 << 14  # and runs of words, whose places are remembered: ten megabytes, 60 where all are as long as may be
REMEMBERED = 32  # characters of these; longer ones hardly come again, and have a place for every letter
HASHES = 3  # features of a run of words: strangers may share one of them, hardly ever two


def gram_places(name: str, buckets: int) -> Iterable[int]:
    """The bucket of each n-gram of a name: n-grams lie within words, and names share most of their words.

    Args:
        name: As it is compared.
        buckets: How many there are.

    Returns:
        Buckets, as often as their n-grams occur.
    """
    words = name.lower().split()
    return chain.from_iterable((_known_word if len(word) <= REMEMBERED else _word)(word, buckets) for word in words)


def places_of_copies(text: str, buckets: int) -> tuple[int, ...]:
    """Where a whole string is hashed to. The bell is in no name, so that it is never hashed as n-grams are.

    Args:
        text: One or more words of a name.
        buckets: How many there are.

    Returns:
        `HASHES` buckets.
    """
    return (_known_copies if len(text) <= REMEMBERED else _copies)(text, buckets)


def _word(word: str, buckets: int) -> tuple[int, ...]:
    return tuple(bucket_of(gram, buckets) for gram in character_grams(word))


def _copies(text: str, buckets: int) -> tuple[int, ...]:
    return tuple(bucket_of(number * "\a" + text, buckets) for number in range(1, HASHES + 1))


_known_word, _known_copies = lru_cache(WORDS)(_word), lru_cache(WORDS)(_copies)
