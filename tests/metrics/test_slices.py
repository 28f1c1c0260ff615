from __future__ import annotations

import numpy as np
import pytest

from melder.metrics.metrics import metrics
from melder.metrics.slices import group_names, groups, slices
from melder.records import Entity, MelderError, Mention, Ranks

ENTITIES = {id: Entity(id=id, name=name) for id, name in [("G", "Guinea"), ("M", "Mali"), ("S", "Straße")]}


def mention(number: int, surface: str, answer: str | None, image: str | None = None) -> Mention:
    return Mention(id=str(number), surface=surface, answer=answer, image=image)


MENTIONS = [
    mention(0, "guinea", "G", "a.png"),
    mention(1, "the tricolour", "G"),
    mention(2, "Mali", "M", "b.png"),
    mention(3, "STRASSE", "S"),
]
RANKS = Ranks(np.array([1, 4, 1, 2]), np.array([1, 4, 2, 2]))


def test_pairs_of_groups_part_the_mentions() -> None:
    found = list(groups(MENTIONS, ENTITIES, seen={"G"}).values())
    assert len(found) == 6
    for inside, outside in zip(found[::2], found[1::2], strict=True):
        assert (inside ^ outside).all()


def test_groups_hold_the_mentions_they_name() -> None:
    found = {name: np.flatnonzero(rows).tolist() for name, rows in groups(MENTIONS, ENTITIES, {"G"}).items()}
    assert found["picture"] == [0, 2]
    assert found["surface is the name"] == [0, 2, 3]  # letter case does not count, in any script
    assert found["seen in training"] == [0, 1]


def test_the_groups_of_each_mention_are_those_that_hold_it() -> None:
    nil = mention(4, "Mali", None)
    names = group_names([nil, *MENTIONS, nil], ENTITIES, {"G"})
    assert names[0] == names[-1] == []
    found = groups(MENTIONS, ENTITIES, {"G"})
    assert names[1:-1] == [[name for name, rows in found.items() if rows[row]] for row in range(4)]


def test_a_slice_has_the_metrics_of_its_mentions_among_all_candidates() -> None:
    expected = metrics(Ranks(np.array([4, 2]), np.array([4, 2])), candidates=3, seed=7)
    assert slices(MENTIONS, ENTITIES, None, RANKS, seed=7)["no picture"] == expected


def test_empty_groups_are_left_out() -> None:
    assert set(slices(MENTIONS[::2], ENTITIES, {"G", "M"}, Ranks(RANKS.optimistic[::2], RANKS.pessimistic[::2]))) == {
        "picture",
        "surface is the name",
        "seen in training",
    }


def test_unknown_training_entities_leave_their_groups_out() -> None:
    assert not any("training" in name for name in slices(MENTIONS, ENTITIES, None, RANKS))


@pytest.mark.parametrize("answer", [None, "X"])
def test_an_answer_that_cannot_be_ranked_is_named(answer: str | None) -> None:
    with pytest.raises(MelderError, match=r"^mention '9', field 'answer'"):
        groups([mention(9, "x", answer)], ENTITIES, None)
