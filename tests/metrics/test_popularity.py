"""Groups by how often the answer was one in training."""

from __future__ import annotations

import numpy as np
import pytest

from melder.metrics.popularity import popularity
from melder.metrics.slices import groups
from melder.records import Entity, Mention


@pytest.mark.parametrize(
    ("times", "group"),
    [
        *((times, "1 to 3 times") for times in (1, 3)),
        *((times, "4 to 10 times") for times in (4, 10)),
        *((times, "11 to 30 times") for times in (11, 30)),
        *((times, "31 times or more") for times in (31, 999)),
    ],
)
def test_every_count_is_in_one_group(times: int, group: str) -> None:
    found = popularity(["Q"], {"Q": times})
    assert [name for name, inside in found.items() if inside[0]] == [f"answer in training {group}"]


def test_what_was_never_an_answer_is_in_no_group() -> None:
    assert not np.any(list(popularity(["Q", "R"], {"R": 0}).values()))


def test_slices_have_the_groups_when_counts_are_known() -> None:
    mentions, entities = [Mention(id="m", answer="Q")], {"Q": Entity(id="Q", name="q")}
    assert groups(mentions, entities, {"Q": 5})["answer in training 4 to 10 times"].all()
    assert not [name for name in groups(mentions, entities, ["Q"]) if name.startswith("answer in training")]
    assert groups(mentions, entities, {"Q": 5})["seen in training"].all()
