"""GEMEL over the candidates of a matching linker: fused scores and ranks, against plain computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import melder
from generative import tiny
from melder.data import load
from melder.linking import ExactLinker, RerankingLinker
from melder.linking.second_stage import Opinion
from melder.protocols import Linker
from melder.records import Link, MelderError, Mention

TOP = 5


@pytest.fixture(scope="module")
def mentions(small_data: Path) -> list[Mention]:
    return [mention for mention in load(small_data).split("dev") if mention.answer is not None]


@pytest.fixture(scope="module")
def matching(small_run: Path, small_data: Path) -> ExactLinker:
    linker = melder.load(small_run, data=small_data)
    assert isinstance(linker, ExactLinker)
    return linker


def _linker(small_run: Path, small_data: Path, top: int = TOP, weight: float = 0.3) -> RerankingLinker:
    changes = [f"method.matching.{each}" for each in (f"run={small_run}", f"top={top}", f"weight={weight}")]
    linker = melder.load(tiny.run(), data=small_data, changes=changes)
    assert isinstance(linker, RerankingLinker)
    return linker


def _links(linker: Linker, mentions: list[Mention], k: int = 99) -> list[Link]:
    links = linker.link(mentions, k=k)
    assert isinstance(links, list)
    return links


def test_fused_scores(small_run: Path, small_data: Path, matching: ExactLinker, mentions: list[Mention]) -> None:
    linker = _linker(small_run, small_data)
    before, after = _links(matching, mentions), _links(linker, mentions)
    generative = melder.load(tiny.run(), data=small_data, changes=["method.score=sum"])
    names = _links(generative, mentions)
    for first, second, fused in zip(before, names, after, strict=True):
        top = first.candidates[:TOP]
        sums = {each.id: each.score for each in second.candidates}
        one = torch.tensor([each.score for each in top]).double().log_softmax(0)
        two = torch.tensor([sums[each.id] for each in top]).double().log_softmax(0)
        expected = {each.id: float(0.7 * a + 0.3 * b) for each, a, b in zip(top, one, two, strict=True)}
        found = {each.id: each.score for each in fused.candidates[:TOP]}
        assert found == pytest.approx(expected, abs=1e-4)
        assert all(sum(each.units.values()) == pytest.approx(each.score) for each in fused.candidates[:TOP])
        assert [each.id for each in fused.candidates[TOP:]] == [each.id for each in first.candidates[TOP:]]
        scores = [each.score for each in fused.candidates]
        assert scores == sorted(scores, reverse=True)


def test_of_some_types_the_matching_linker_s_best_are_ordered_anew(
    small_run: Path, small_data: Path, mentions: list[Mention], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melder.search.entity_store.EncodedEntities.typed", lambda *_, **__: np.array([1, 4, 6]))
    linker = _linker(small_run, small_data)
    for link in linker.link(mentions[:3], 9, types="kite"):
        assert {each.id for each in link.candidates} == {"Q1", "Q4", "Q6"}
        assert all(each.units.keys() == {"matching", "generative"} for each in link.candidates)


def test_ranks_are_places(small_run: Path, small_data: Path, mentions: list[Mention]) -> None:
    linker = _linker(small_run, small_data)
    links, ranks = linker.links_and_ranks(mentions, 99)
    places = [
        [each.id for each in link.candidates].index(str(m.answer)) + 1 for m, link in zip(mentions, links, strict=True)
    ]
    assert np.array_equal(ranks.optimistic, places)
    assert np.array_equal(linker.ranks(mentions).pessimistic, places)


def test_without_weight_it_is_the_matching_linker(
    small_run: Path, small_data: Path, matching: ExactLinker, mentions: list[Mention]
) -> None:
    linker = _linker(small_run, small_data, weight=0.0)
    ids = [[[each.id for each in link.candidates] for link in _links(one, mentions)] for one in (linker, matching)]
    assert ids[0] == ids[1]


def test_fewer_links_than_candidates_are_the_first_of_them(
    small_run: Path, small_data: Path, mentions: list[Mention]
) -> None:
    linker = _linker(small_run, small_data)
    assert [link.candidates for link in _links(linker, mentions, 2)] == [
        link.candidates[:2] for link in _links(linker, mentions)
    ]


def test_one_text_with_a_picture(small_run: Path, small_data: Path) -> None:
    linker = _linker(small_run, small_data)
    link = linker.link("A red kite was seen", mention="red kite", image=small_data / "images/0.png", k=3)
    assert isinstance(link, Link)
    assert len(link.candidates) == 3


def test_a_generative_run_cannot_find_candidates(small_data: Path) -> None:
    with pytest.raises(MelderError, match=r"method\.matching\.run: .* writes names; name one that compares"):
        melder.load(tiny.run(), data=small_data, changes=[f"method.matching.run={tiny.run()}"])


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_an_entity_without_a_name_is_less_likely_and_no_score_is_infinite(
    small_run: Path, small_data: Path, matching: ExactLinker, mentions: list[Mention], weight: float
) -> None:
    linker = _linker(small_run, small_data, weight=weight)
    link = _links(matching, mentions[:1])[0]
    for sums in (np.array([-3.0, -np.inf, -1.0, -2.0, -5.0]), np.full(TOP, -np.inf)):
        fused = linker._link(link, Opinion(sums)).candidates
        assert np.isfinite([each.score for each in fused]).all()
        if weight == 1.0 and np.isfinite(sums).any():
            assert fused[TOP - 1].id == link.candidates[1].id
