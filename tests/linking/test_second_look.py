"""A second look over any linker: by a language model's letters, by a cross-encoder; its settings, its mistakes."""

from __future__ import annotations

import math
import socket
from pathlib import Path

import numpy as np
import pytest

import melder
from generative import tiny
from linking.second_looks import by_letters, by_pairs, headless_pair_model, language_model, pair_model
from melder.building.build import build
from melder.data import load
from melder.data.entity_file import EntityFile
from melder.linking import RerankingLinker
from melder.linking.second_look import DEFAULT_WEIGHT
from melder.protocols import Linker
from melder.records import Link, MelderError, Mention
from melder.runs.rerank_configuration import RerankConfiguration, read_rerank, write_rerank

KINDS = {"letters": by_letters, "pairs": by_pairs}


@pytest.fixture(scope="module")
def mentions(small_data: Path) -> list[Mention]:
    return [mention for mention in load(small_data).split("dev") if mention.answer is not None]


def _open(run: Path, data: Path, changes: list[str]) -> RerankingLinker:
    linker = melder.load(run, data=data, changes=changes)
    assert isinstance(linker, RerankingLinker)
    return linker


def _ids(links: list[Link]) -> list[list[str]]:
    return [[candidate.id for candidate in link.candidates] for link in links]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_candidates_are_ordered_by_both_scores(
    kind: str, small_run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    first = melder.load(small_run, data=small_data)
    alone, both, second = (_open(small_run, small_data, KINDS[kind](weight=w)) for w in (0, 0.4, 1))
    before = first.link(mentions, 8)
    assert _ids(alone.link(mentions, 8)) == _ids(before)
    for link, earlier in zip(both.link(mentions, 8), before, strict=True):
        assert {c.id for c in link.candidates[:5]} == {c.id for c in earlier.candidates[:5]}
        assert [c.id for c in link.candidates[5:]] == [c.id for c in earlier.candidates[5:]]
        scores = [candidate.score for candidate in link.candidates]
        assert scores == sorted(scores, reverse=True)
        for candidate in link.candidates[:5]:
            assert set(candidate.units) == {"first_stage", both.second.name}
            assert sum(candidate.units.values()) == pytest.approx(candidate.score)
    for link in second.link(mentions, 5):  # what the second stage says is a distribution over what it read
        assert sum(math.exp(c.score) for c in link.candidates) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_are_places_and_pictures_come_from_anywhere(
    kind: str, small_run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    linker = _open(small_run, small_data, KINDS[kind](weight=0.5))
    links, ranks = linker.links_and_ranks(mentions, 12)
    places = [ids.index(str(mention.answer)) + 1 for mention, ids in zip(mentions, _ids(links), strict=True)]
    assert np.array_equal(ranks.optimistic, places)
    pictured = linker.link("A red kite was seen", mention="red kite", image=small_data / "images/0.png", k=3)
    assert len(pictured.candidates) == 3
    assert linker.figures["second_stage"] == {"stage": linker.second.name, "top": 5, "weight": 0.5}
    assert linker.ablations()["without_second_stage"] is linker.first


def test_none_of_these_is_an_answer_with_a_probability(
    small_run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    """Of the first stage's probability and the second's, in log-odds, as of scores; without it the first's stays."""
    first, alone = melder.load(small_run, data=small_data), _open(small_run, small_data, by_letters(weight=1))
    both, without = (_open(small_run, small_data, by_letters(weight=0.3, nil=nil)) for nil in ("true", "false"))
    for one, two, fused, same in zip(*(each.link(mentions[:4]) for each in (first, alone, both, without)), strict=True):
        odds = [math.log(p / (1 - p)) for p in (one.nil_probability, two.nil_probability, fused.nil_probability)]
        assert odds[2] == pytest.approx(0.7 * odds[0] + 0.3 * odds[1])
        assert same.nil_probability == one.nil_probability


def test_a_first_stage_that_writes_names_and_one_that_searches(small_run: Path, small_data: Path) -> None:
    names = melder.load(tiny.run(), data=small_data, changes=[*by_letters(), "method.demonstrations.count=0"])
    assert set(names.link("a red kite").candidates[0].units) == {"first_stage", "language_model"}
    assert names.link("a red kite").nil_probability is not None  # the language model's own word
    searched = melder.load(small_run, data=small_data, changes=by_letters(), candidates="flat")
    assert isinstance(searched, RerankingLinker)
    assert searched.first.search is not None  # type: ignore[attr-defined]
    assert searched.link("a red kite", 3).candidates


def test_nothing_depends_on_what_is_asked_together(small_run: Path, small_data: Path, mentions: list[Mention]) -> None:
    one, four = (_open(small_run, small_data, by_letters(at_once=count)) for count in (1, 4))
    for a, b in zip(one.link(mentions), four.link(mentions), strict=True):
        assert {c.id: c.score for c in a.candidates} == pytest.approx({c.id: c.score for c in b.candidates}, abs=1e-4)


def test_settings_lie_beside_the_run_and_can_be_changed(tmp_path: Path, small_run: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert read_rerank(run) is None
    write_rerank(run, RerankConfiguration(model="a/model", top=4, weight=0.1))
    stored = read_rerank(run)
    assert stored is not None
    assert (stored.model, stored.top, stored.weight) == ("a/model", 4, 0.1)
    assert read_rerank(run, ["rerank.top=0"]) is None
    changed = read_rerank(run, ["rerank.cross=own", "method.lexical=true"])
    assert changed is not None
    assert (changed.model, changed.cross, changed.top) == (None, "own", 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["rerank.top=5"], "name what looks again: either model, a language model, or cross"),
        (["rerank.model=a", "rerank.cross=b"], "name what looks again"),
        (["rerank.model=a", "rerank.top=26"], "a language model answers by letter: read 25 at most"),
        (["rerank.modell=a"], "rerank.KEY=VALUE, field 'modell': there is no such key; did you mean 'model'"),
        (["rerank.weight=2", "rerank.model=a"], "field 'weight'"),
        (["rerank.model=/nowhere/at/all"], "no model directory '/nowhere/at/all'"),
        (["rerank.cross=own"], r"has not learned to read pairs; train it first, with `melder rerank"),
        (["rerank.cross={headless}"], r"has no layer that scores pairs .*; train it first"),
        (["rerank.cross={pairs}", "rerank.text_length=200"], "reads 128 tokens at most"),
        (["rerank.model={letters}", "rerank.entity_length=200"], "may take .* positions, the model has 1,024; lower"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_linked(
    changes: list[str], message: str, small_run: Path, small_data: Path
) -> None:
    models = {"headless": headless_pair_model(), "pairs": pair_model(), "letters": language_model()}
    with pytest.raises(MelderError, match=message) as error:
        melder.load(small_run, data=small_data, changes=[change.format(**models) for change in changes])
    assert "\n" not in str(error.value)


def test_a_knowledge_base_takes_one_for_the_asking(
    small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a stranger's that brings one whose model lies elsewhere is not opened."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    kb = tmp_path / "kb"
    source = EntityFile(small_data / "entities.jsonl", small_data)
    build(kb, source, run=small_run, counting=lambda title, total: lambda done: None)
    linker: Linker = melder.load(kb, changes=by_letters())
    with linker:
        assert "language_model" in linker.link("a red kite").candidates[0].units
    write_rerank(kb / "model", RerankConfiguration(model="somebody/model"))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it asks the network"))
    with pytest.raises(MelderError, match="names the language model 'somebody/model', which is outside"):
        melder.load(kb, trusted=False)


def test_the_default_weight_is_that_of_the_documentation(small_run: Path, small_data: Path) -> None:
    assert _open(small_run, small_data, by_letters()).weight == DEFAULT_WEIGHT
    page = (Path(__file__).parents[2] / "docs" / "second-look.md").read_text(encoding="utf-8")
    assert f"{DEFAULT_WEIGHT}" in page


def test_a_score_that_is_no_number_is_an_error(small_run: Path, small_data: Path, mentions: list[Mention]) -> None:
    linker = _open(small_run, small_data, by_pairs(weight=0.5))
    next(linker.second.encoder.parameters()).data.fill_(math.nan)  # type: ignore[attr-defined]
    for work in (lambda: linker.link(mentions, 3), lambda: linker.stage_scores(mentions)):
        with pytest.raises(MelderError, match="the second stage 'cross' has a score that is NaN"):
            work()
