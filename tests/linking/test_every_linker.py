"""What every linker does, whatever its method, and every search that a linker may be given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import melder
from generative import tiny
from linking.second_looks import by_letters, by_pairs
from melder.data import load
from melder.linking.data_evidence import DataEvidence
from melder.linking.data_linker import DataLinker
from melder.linking.resolver import LINKERS
from melder.protocols import Linker
from melder.records import Link, MelderError, Mention
from melder.search.resolver import SEARCHES
from rounding import alike

K = 4
# Of demonstrations that are alike to the rounding the processor chooses, and others give other scores.
ALONE = "method.demonstrations.count=0"


@dataclass(frozen=True)
class Case:
    """A linker: what it is called, what it is registered as, and how it is opened."""

    name: str
    kind: str
    open: Callable[[Path, Path], Linker]


def _reranking(run: Path, data: Path) -> Linker:
    changes = [f"method.matching.run={run}", "method.matching.top=6", ALONE]
    return melder.load(tiny.run(), data=data, changes=changes)


def _with_prior(run: Path, data: Path) -> Linker:
    counts = {"kite": {"bird": 3}}
    evidence = DataEvidence.of_counts(counts, data="", split="").model_copy(update={"prior": 2.0})
    return DataLinker(melder.load(run, data=data), evidence, prior=True, coherence=False)  # type: ignore[arg-type]


CASES = [
    Case("exact", "matching", lambda run, data: melder.load(run, data=data)),
    Case("certified", "matching", lambda run, data: melder.load(run, data=data, candidates="certified")),
    Case("two stages", "matching", lambda run, data: melder.load(run, data=data, candidates="flat")),
    Case("with a prior", "matching", _with_prior),
    Case("names written", "gemel", lambda run, data: melder.load(tiny.run(), data=data, changes=[ALONE])),
    Case("names written second", "gemel", _reranking),
    Case("read again by letters", "matching", lambda run, data: melder.load(run, data=data, changes=by_letters())),
    Case("read again in pairs", "matching", lambda run, data: melder.load(run, data=data, changes=by_pairs())),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def linker(request: pytest.FixtureRequest, small_run: Path, small_data: Path) -> Iterator[Linker]:
    with request.param.open(small_run, small_data) as opened:
        yield opened


@pytest.fixture(scope="module")
def mentions(small_data: Path) -> list[Mention]:
    return load(small_data).split("dev")


def test_every_linker_and_every_search_has_a_case() -> None:
    assert {*LINKERS.names(), "matching"} == {case.kind for case in CASES}
    assert set(SEARCHES.names()) < {case.name for case in CASES}


def test_links_come_in_the_order_of_the_mentions_the_best_candidate_first(
    linker: Linker, mentions: list[Mention]
) -> None:
    links = linker.link(mentions, K)
    assert [(link.id, link.surface) for link in links] == [(mention.id, mention.surface) for mention in mentions]
    for link in links:
        scores = [candidate.score for candidate in link.candidates]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == K == len({candidate.id for candidate in link.candidates})


def test_candidates_are_entities_of_the_knowledge_base(linker: Linker, mentions: list[Mention]) -> None:
    for candidate in linker.link(mentions[0], K).candidates:
        entity = linker.entity(candidate.id)
        assert entity is not None
        assert entity.name == candidate.name
    assert linker.entity("nobody") is None


def test_one_by_one_is_as_together(linker: Linker, mentions: list[Mention]) -> None:
    for mention, link in zip(mentions, linker.link(mentions, K), strict=True):
        assert alike(linker.link(mention, K), link)


def test_what_is_measured_is_what_is_linked(linker: Linker, mentions: list[Mention]) -> None:
    """Ranks of an exact linker are those of its links; of another one they are exact all the same."""
    answered = [mention for mention in mentions if mention.answer is not None]
    links, ranks = linker.links_and_ranks(answered, K)
    assert [link.id for link in links] == [mention.id for mention in answered]
    for mention, link, best, worst in zip(answered, links, ranks.optimistic, ranks.pessimistic, strict=True):
        places = [place for place, candidate in enumerate(link.candidates, 1) if candidate.id == mention.answer]
        assert all(best <= place <= worst for place in places)


def test_no_mentions_no_links(linker: Linker) -> None:
    assert linker.link([]) == []


def test_a_mention_without_a_picture_and_one_without_a_place(linker: Linker) -> None:
    bare = Mention(id="bare", surface="red kite")
    assert isinstance(linker.link(bare), Link)
    assert linker.link("A red kite was seen", mention="red kite").candidates


def test_more_candidates_than_entities(linker: Linker, mentions: list[Mention]) -> None:
    links = linker.link(mentions[:2], 1000)
    assert all(0 < len(link.candidates) <= 12 for link in links)


def test_types_that_no_entity_has_are_refused(linker: Linker) -> None:
    with pytest.raises(MelderError, match="comet"):
        linker.link("a red kite", types="comet")


def test_what_it_says_of_itself(linker: Linker) -> None:
    assert "12 entities" in repr(linker)
    assert isinstance(linker.compares_pictures, bool)
