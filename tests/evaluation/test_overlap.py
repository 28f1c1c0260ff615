"""How often a search answers as exact scoring does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import melder
from melder.data import load
from melder.evaluation.overlap import agreement_of, overlap_at_k
from melder.linking import ExactLinker
from melder.records import Candidate, Link, MelderError
from melder.search.resolver import build_search


def link(*scores: float, names: str = "abcdefgh") -> Link:
    found = [Candidate(id=name, name=name, score=score) for name, score in zip(names, scores, strict=False)]
    return Link(id="m", start=None, end=None, surface="m", candidates=tuple(found))


def test_it_is_the_share_of_the_best_that_are_found() -> None:
    exact, found = link(9, 8, 7, 6), link(9, 7, 5, 4, names="aczx")
    assert overlap_at_k([exact], [found], (1, 2, 3, 4)) == pytest.approx(
        {"top_1": 1.0, "top_2": 0.5, "top_3": 2 / 3, "top_4": 0.5}
    )
    assert overlap_at_k([exact, exact], [found, link(8, names="b")], (1,)) == {"top_1": 0.5}


def test_entities_that_tie_stand_for_each_other() -> None:
    assert overlap_at_k([link(9, 9)], [link(9, names="b")], (1,)) == {"top_1": 1.0}


@pytest.fixture(scope="module")
def linker(small_run: Path, small_data: Path) -> ExactLinker:
    linker = melder.load(small_run, data=small_data)
    assert isinstance(linker, ExactLinker)
    return linker


@pytest.mark.parametrize("name", ["certified", "flat"])
def test_a_linker_that_searches_gives_the_links_of_one_that_does_not(
    linker: ExactLinker, small_data: Path, name: str
) -> None:
    mentions = load(small_data).split("dev")
    exact = linker.link(mentions, 3)
    linker.search = build_search(name, linker.model.matcher, linker.source)
    found, ranks = linker.link(mentions, 3), linker.ranks(mentions)
    linker.search = None
    assert isinstance(exact, list)
    assert isinstance(found, list)
    for one, other in zip(exact, found, strict=True):
        assert [each.score for each in other.candidates] == pytest.approx([e.score for e in one.candidates], abs=1e-3)
    assert ranks.optimistic.tolist() == linker.ranks(mentions).optimistic.tolist()


def test_more_candidates_than_entities(linker: ExactLinker) -> None:
    linker.search = build_search("certified", linker.model.matcher, linker.source)
    found = linker.link("a red kite", 1000)
    linker.search = None
    assert isinstance(found, Link)
    assert len(found.candidates) == len(linker.source)


def test_agreement_is_measured_on_a_sample_and_leaves_the_linker_as_it_was(
    linker: ExactLinker, small_data: Path
) -> None:
    mentions = load(small_data).split("dev")
    exact = linker.link(mentions, 10)
    assert isinstance(exact, list)
    figures = agreement_of(linker, "certified", mentions, exact)
    assert linker.search is None
    assert (figures["top_1"], figures["top_10"], figures["candidates"]) == (1.0, 1.0, "certified")
    assert figures["mentions"] == len(mentions)
    assert 0 < figures["scored"] <= 1


def test_a_linker_of_names_has_no_candidates() -> None:
    with pytest.raises(MelderError, match="leave it out"):
        agreement_of(SimpleNamespace(has_candidates=False), "flat", [], [])  # type: ignore[arg-type]
