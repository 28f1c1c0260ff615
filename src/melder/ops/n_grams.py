"""Character n-grams of a name and the buckets that strings are hashed into, number for number those of scikit-learn
(`HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4))`), which takes a second to import, and pandas with it."""

from __future__ import annotations

import mmh3

__all__ = ["bucket_of", "character_grams"]

SHORTEST, LONGEST = 2, 4  # characters of an n-gram


def character_grams(name: str) -> list[str]:
    """The n-grams of each word of a name in lower case, with a space at both of its ends.

    Args:
        name: as it is compared

    Returns:
        shorter ones first, word by word; a word that is shorter than an n-gram is one itself, once
    """
    grams = list[str]()
    for word in name.lower().split():
        padded = f" {word} "
        for length in range(SHORTEST, LONGEST + 1):
            grams += [padded[start : start + length] for start in range(max(len(padded) - length, 0) + 1)]
            if len(padded) <= length:
                break
    return grams


def bucket_of(text: str, buckets: int) -> int:
    """Which bucket a string is in: MurmurHash3 of its UTF-8, without its sign.

    Args:
        text: the string
        buckets: how many there are

    Returns:
        from 0 up to, not including, `buckets`
    """
    return abs(mmh3.hash(text)) % buckets
