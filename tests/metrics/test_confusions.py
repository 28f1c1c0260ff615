from __future__ import annotations

from melder.metrics.confusions import Confusion, confusions, is_wrong
from melder.records import Candidate, Link, Mention


def answered(*pairs: tuple[str | None, str | None]) -> tuple[list[Mention], list[Link]]:
    """Mentions with these answers, linked to these entities."""
    mentions = [Mention(id=str(n), answer=gold) for n, (gold, _) in enumerate(pairs)]
    links = [
        Link(
            id=str(n),
            start=None,
            end=None,
            surface="",
            candidates=() if first is None else (Candidate(id=first, name=first, score=1.0),),
        )
        for n, (_, first) in enumerate(pairs)
    ]
    return mentions, links


def test_both_directions_of_a_pair_are_one_confusion_the_frequent_one_first() -> None:
    found = confusions(*answered(("a", "b"), ("c", "d"), ("b", "a"), ("b", "a"), ("a", "a"), ("c", "d"), ("c", "a")))
    assert found == [Confusion("b", "a", 2, 1), Confusion("c", "d", 2, 0), Confusion("c", "a", 1, 0)]
    assert found[0].pair == {"a", "b"}


def test_neither_nil_nor_an_empty_answer_is_a_confusion() -> None:
    mentions, links = answered((None, "a"), ("a", None), ("a", "a"))
    assert confusions(mentions, links) == []
    assert not any(is_wrong(*pair) for pair in zip(mentions, links, strict=True))
