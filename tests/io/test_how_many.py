"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from melder.io.counts import how_many, in_number


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (1, "mention", "1 mention"),
        (0, "mention", "0 mentions"),
        (1201, "mention", "1,201 mentions"),
        (1, "entity", "1 entity"),
        (2, "entity", "2 entities"),
        (2, "key", "2 keys"),
        (3, "box", "3 boxes"),
        (3, "class", "3 classes"),
        (2, "match", "2 matches"),
    ],
)
def test_a_noun_goes_with_its_number(count: int, noun: str, words: str) -> None:
    assert how_many(count, noun) == words


def test_a_sentence_goes_with_its_number() -> None:
    sentence = "{} [row is|rows are] empty, and [counts|count] as nothing"
    assert in_number(sentence, 1) == "1 row is empty, and counts as nothing"
    assert in_number(sentence, 1000) == "1,000 rows are empty, and count as nothing"
    assert in_number("no choice [here] of {}", 1) == "no choice [here] of 1"
