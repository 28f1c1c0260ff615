"""Into which buckets the n-grams of a name are hashed, and whole strings of its words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

__all__ = ["HASHES", "N_GRAMS", "gram_places", "places_of_copies"]

WORDS = 1 << 16  # and runs of words whose places are remembered: some megabytes
HASHES = 3  # features of a run of words: strangers may share one of them, hardly ever two

N_GRAMS = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()


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
    return tuple(_place(gram, buckets) for gram in N_GRAMS(word))


@lru_cache(WORDS)
def places_of_copies(text: str, buckets: int) -> tuple[int, ...]:
    """Where a whole string is hashed to. The bell is in no name, so that it is never hashed as n-grams are.

    Args:
        text: One or more words of a name.
        buckets: How many there are.

    Returns:
        `HASHES` buckets.
    """
    return tuple(_place(number * "\a" + text, buckets) for number in range(1, HASHES + 1))


def _place(text: str, buckets: int) -> int:
    """As scikit-learn's `FeatureHasher` has it."""
    return int(abs(murmurhash3_32(text)) % buckets)
