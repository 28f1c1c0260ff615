from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from melder.data.flags.nations import FACTS, Nation, nations
from melder.data.flags.sentences import compose, groups, look_alikes, surfaces

NATIONS = {nation.code: nation for nation in nations()}


def texts(code: str, *, training: bool = True, pictured: bool = True) -> list[str]:
    random = np.random.default_rng(0)
    return [compose(random, NATIONS[code], training=training, pictured=pictured).text for _ in range(300)]


def told(nation: Nation, text: str) -> list[str]:
    return [fact for fact in FACTS if nation.facts[fact] in text]


def test_there_are_at_least_120_nations_and_no_code_or_name_twice() -> None:
    names = Counter(name for nation in nations() for name in nation.entity().names)
    assert len(NATIONS) == len(nations()) >= 120
    assert all(len(code) == 2 and code.isupper() for code in NATIONS)
    assert max(names.values()) == 1


@pytest.mark.parametrize("nation", nations(), ids=lambda nation: nation.code)
def test_a_description_is_one_sentence_that_holds_every_fact(nation: Nation) -> None:
    description = nation.entity().description
    assert told(nation, description) == list(FACTS)
    assert description.endswith(".")
    assert "{" not in description


@pytest.mark.parametrize("group", groups())
def test_every_member_of_a_group_is_called_by_every_surface_of_it(group: str) -> None:
    names, members = groups()[group]
    assert len(members) > 1
    assert members <= set(NATIONS)
    assert all(set(names) <= set(surfaces(code)) for code in members)


def test_sentences_use_all_surfaces_of_a_nation() -> None:
    written = " ".join(texts("GN")).lower()
    assert all(surface.lower() in written for surface in surfaces("GN"))


@pytest.mark.parametrize(
    "members",
    [
        *("GN GW GQ PG", "CG CD", "KP KR", "SD SS", "RO TD MD AD", "ID MC PL SG", "IE CI IT", "DK NO SE FI IS"),
        *("NL LU PY HR", "RU SI SK RS BG", "AU NZ", "CO EC VE", "AR HN NI SV GT", "AT LV PE LB", "NE IN", "NE NG"),
        *("GH BO ET", "JP BD PW", "DM DO", "GN ML SN CM", "DE BE", "GE CH", "HU IT MX", "GW BJ"),
    ],
)
def test_nations_that_are_confused_share_a_surface(members: str) -> None:
    assert any(set(members.split()) <= group for _, group in groups().values())


def test_the_span_covers_the_surface_also_at_the_start_of_a_sentence() -> None:
    random = np.random.default_rng(1)
    known = {name for names, _ in groups().values() for name in names}
    sentences = [compose(random, NATIONS["GN"], training=True, pictured=True) for _ in range(300)]
    assert any(sentence.start == 0 for sentence in sentences)
    assert any(sentence.surface in known for sentence in sentences)
    assert all(sentence.surface[0].isupper() for sentence in sentences if sentence.start == 0)


def test_look_alikes_are_told_apart_by_a_fact_in_every_sentence() -> None:
    for code in ("TD", "NI", "AU", "CO"):
        nation = NATIONS[code]
        for text in texts(code):
            facts = told(nation, text)
            shared = [NATIONS[other].facts for other in look_alikes(code)]
            assert any(all(other[fact] != nation.facts[fact] for other in shared) for fact in facts), text


def test_sentences_with_a_picture_often_tell_nothing_and_those_without_always_tell_something() -> None:
    silent = [not told(NATIONS["GQ"], text) for text in texts("GQ")]
    assert 0.2 < np.mean(silent) < 0.4
    assert all(told(NATIONS["GQ"], text) for text in texts("GQ", pictured=False))


def test_dev_and_test_hold_templates_that_training_never_shows() -> None:
    seen, new = " ".join(texts("GQ")), " ".join(texts("GQ", training=False))
    for held_out in ("took part in the regatta", "closed for the day"):
        assert held_out in new
        assert held_out not in seen
    assert "At the opening ceremony" in seen
    assert "At the opening ceremony" in new
