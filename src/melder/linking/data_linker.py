"""A linker whose first candidates are ordered anew by prior and coherence (`melder.linking.data_evidence`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from melder.kb.manifest import MODEL
from melder.languages import Languages
from melder.linking.data_evidence import FILE, TOP, DataEvidence, fit_temperature, fit_weights, log_odds, read_evidence
from melder.linking.linker import BaseLinker, MatchingLinker, first_candidates
from melder.metrics.ranks import rank_among
from melder.protocols import Linker, Progress
from melder.records import Candidate, Entity, Item, Link, MelderError, Mention, Ranks
from melder.runs.model import answering
from melder.search.filters import AskedTypes, Types

__all__ = ["DataLinker", "coherences", "fit_on_links", "with_data_evidence"]

PRIOR, COHERENCE = "prior", "coherence"  # what their parts are called among the units
AT_ONCE = 1024  # entities whose sides are read together


class DataLinker(BaseLinker):
    """Links with `matching`, then orders its `TOP` first candidates anew; mentions of one call may be of one text.

    NIL probabilities stay those of `matching`.

    Args:
        matching: The first stage.
        evidence: Its counts and weights.
        prior: Whether what a surface meant in training counts.
        coherence: Whether other mentions of the same text do.

    Raises:
        MelderError: Of a prior beside exemplars, which count surfaces too; and of coherence where a method has no
            vectors.
    """

    has_comparable_scores = False  # only the first candidates of a knowledge base get what is added

    def __init__(self, matching: MatchingLinker, evidence: DataEvidence, *, prior: bool, coherence: bool) -> None:
        directory = matching.knowledge_base.directory
        if prior and len(matching.exemplars):
            raise MelderError(
                f"{directory}: has learned mentions, which count how often a surface meant an entity; leave prior out"
            )
        self.matching, self.evidence = matching, evidence
        self.prior = evidence.prior if prior else 0.0
        self.coherence = evidence.coherence if coherence else 0.0
        self.model, self.knowledge_base, self.data = matching.model, matching.knowledge_base, matching.data

    @property
    def pictures_read(self) -> int:  # type: ignore[override]
        return self.matching.pictures_read

    @property
    def compares_pictures(self) -> bool:
        return self.matching.compares_pictures

    def items(self, mentions: Sequence[Mention]) -> list[Item]:
        return self.matching.items(mentions)

    def item(self, mention: Mention, image: object) -> Item:  # type: ignore[override]
        return self.matching.item(mention, image)  # type: ignore[arg-type]

    def entity(self, identity: str) -> Entity | None:
        return self.matching.entity(identity)

    def name_in(self, languages: Languages) -> None:
        self.matching.name_in(languages)

    def close(self) -> None:
        self.matching.close()

    def known_types(self, types: Sequence[str]) -> Types | None:
        known: Types | None = self.matching.known_types(types)
        return known

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: AskedTypes = None
    ) -> Iterator[list[Link]]:
        first = [link for block in self.matching.answers(mentions, items, max(k, TOP), types) for link in block]
        yield [first_candidates(link, k) for link in self.ordered(mentions, first)]

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        """Ranks of the answers of mentions that all have one: exact but among the first candidates."""
        return self.links_and_ranks(mentions, 1)[1]

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        links, ranks = self.reranked(mentions, *self.matching.links_and_ranks(mentions, max(k, TOP), progress))
        return [first_candidates(link, k) for link in links], ranks

    def reranked(self, mentions: Sequence[Mention], links: Sequence[Link], ranks: Ranks) -> tuple[list[Link], Ranks]:
        """The links in the new order, and the ranks of the answers of those that have one."""
        ordered = self.ordered(mentions, links)
        pairs = zip(mentions, ordered, strict=True)
        answered = [(mention.answer, link) for mention, link in pairs if mention.answer is not None]
        return ordered, _ranks(answered, ranks)

    def ordered(self, mentions: Sequence[Mention], links: Sequence[Link]) -> list[Link]:
        """The links with prior and coherence among their units, in the order of the new scores."""
        near = coherences(self.matching, mentions, links, self.evidence.temperature) if self.coherence else {}
        return [
            self._ordered(link, {COHERENCE: near.get(row, [0.0] * TOP)} if self.coherence else {})
            for row, link in enumerate(links)
        ]

    def _ordered(self, link: Link, near: Mapping[str, Sequence[float]]) -> Link:
        top, rest = link.candidates[:TOP], link.candidates[TOP:]
        parts = {name: [self.coherence * value for value in values] for name, values in near.items()}
        if self.prior:
            odds = log_odds(self.evidence.counts, link.surface, [candidate.id for candidate in top])
            parts = {PRIOR: [self.prior * value for value in odds], **parts}
        added = [_with(candidate, {name: parts[name][n] for name in parts}) for n, candidate in enumerate(top)]
        added.sort(key=lambda candidate: -candidate.score)  # stable: ties stay as they were
        return link.model_copy(update={"candidates": (*added, *rest)})


def with_data_evidence(linker: Linker, run: Path, *, prior: bool, coherence: bool) -> Linker:
    """The linker of a run or of a knowledge base, with what was fitted for the base itself or, else, for the run.

    Args:
        linker: Of the run or the knowledge base.
        run: The directory of either.
        prior: Whether it is asked for.
        coherence: The same.

    Returns:
        The linker itself where neither is.

    Raises:
        MelderError: Nothing was fitted, the method writes names, its links come from services, or there is a second
            look, whose scores these weights were not fitted on.
    """
    if not (prior or coherence):
        return linker
    if not linker.has_candidates:
        raise MelderError(
            f"{run}: a method that writes names, or links of services, take neither prior nor coherence; leave them out"
        )
    if not linker.calibrates:
        raise MelderError(
            f"{run}: prior and coherence were fitted without its second look; leave them out, or set rerank.top=0"
        )
    own: Path = linker.knowledge_base.directory
    where = next((place for place in (own, own / MODEL) if (place / FILE).is_file()), run)
    evidence = read_evidence(where)
    return DataLinker(cast(MatchingLinker, linker), evidence, prior=prior, coherence=coherence)


def coherences(
    linker: MatchingLinker, mentions: Sequence[Mention], links: Sequence[Link], temperature: float
) -> dict[int, list[float]]:
    """How near the first candidates of each mention are to those of the others of its text.

    Args:
        linker: Whose vectors of entities are compared.
        mentions: Of any number of texts.
        links: Of these mentions, in their order.
        temperature: Of the links' scores.

    Returns:
        A number a candidate, by the row of the mention; mentions that are alone in their text are left out.

    Raises:
        MelderError: The method has no vectors.
    """
    groups: dict[str, list[int]] = {}
    for row, mention in enumerate(mentions):
        if mention.text and links[row].candidates:
            groups.setdefault(mention.text, []).append(row)
    shared = [group for group in groups.values() if len(group) > 1]
    rows = [row for group in shared for row in group]
    vectors = _vectors(linker, sorted({candidate.id for row in rows for candidate in links[row].candidates[:TOP]}))
    near: dict[int, list[float]] = {}
    for group in shared:
        best = {row: links[row].candidates[0].id for row in group}
        sure = {row: _first_probability(links[row], temperature) for row in group}
        for row in group:
            others = torch.stack([sure[other] * vectors[best[other]] for other in group if other != row])
            candidates = torch.stack([vectors[candidate.id] for candidate in links[row].candidates[:TOP]])
            cosines = (candidates @ others.t()).mean(dim=1)
            near[row] = (cosines - cosines.min()).tolist()
    return near


def fit_on_links(
    linker: MatchingLinker, mentions: Sequence[Mention], links: Sequence[Link], evidence: DataEvidence
) -> DataEvidence:
    """Temperature and weights, fitted on links.

    Args:
        linker: Whose links these are.
        mentions: That all have an answer.
        links: Of them, in their order.
        evidence: Whose counts of surfaces were taken of other mentions.

    Returns:
        The evidence with what was fitted.

    Raises:
        MelderError: No answer is among the first candidates.
    """
    places = [_place(link, str(mention.answer)) for mention, link in zip(mentions, links, strict=True)]
    rows = [row for row, place in enumerate(places) if place is not None]
    if not rows:
        raise MelderError(f"no mention has its answer among its first {TOP} candidates, so that nothing can be fitted")
    answers = torch.tensor([places[row] for row in rows])
    scores = torch.stack([_padded([c.score for c in links[row].candidates[:TOP]], float("-inf")) for row in rows])
    temperature = fit_temperature(scores, answers)
    near = coherences(linker, mentions, links, temperature)
    odds = [log_odds(evidence.counts, links[row].surface, [c.id for c in links[row].candidates[:TOP]]) for row in rows]
    kinds = [[_padded(values) for values in odds], [_padded(near.get(row, [])) for row in rows]]
    parts = torch.stack([torch.stack(kind) for kind in kinds], dim=-1)
    prior, coherence = fit_weights(scores, parts, answers, temperature)
    return evidence.model_copy(
        update={"prior": prior, "coherence": coherence, "temperature": temperature, "mentions": len(rows)}
    )


def _vectors(linker: MatchingLinker, identities: Sequence[str]) -> dict[str, Tensor]:
    """Vectors of length 1 of some entities, which a method hands out for a first stage."""
    matcher, vectors = linker.model.matcher, dict[str, Tensor]()
    row_of = linker.source.rows(identities)
    for start in range(0, len(identities), AT_ONCE):
        block = identities[start : start + AT_ONCE]
        side = linker.source.side(torch.tensor([row_of[identity] for identity in block]))
        with answering(matcher):
            rows = matcher.entity_vectors(side.to(next(matcher.parameters()).device)).float().cpu()
        if not rows.shape[1]:
            raise MelderError("coherence compares vectors of entities, and this method has none; leave it out")
        vectors |= dict(zip(block, normalize(rows, dim=1), strict=True))
    return vectors


def _first_probability(link: Link, temperature: float) -> float:
    scores = torch.tensor([candidate.score for candidate in link.candidates[:TOP]], dtype=torch.float64)
    return float((temperature * scores).softmax(dim=0)[0])


def _with(candidate: Candidate, parts: Mapping[str, float]) -> Candidate:
    units = {**candidate.units, **parts}
    return candidate.model_copy(update={"score": candidate.score + sum(parts.values()), "units": units})


def _padded(values: Sequence[float], missing: float = 0.0) -> Tensor:
    return torch.tensor([*values, *[missing] * (TOP - len(values))], dtype=torch.float64)


def _place(link: Link, answer: str) -> int | None:
    return next((n for n, candidate in enumerate(link.candidates[:TOP]) if candidate.id == answer), None)


def _ranks(answered: Sequence[tuple[str, Link]], before: Ranks) -> Ranks:
    """Among the first candidates by the new scores; an answer that is not among them keeps its rank."""
    optimistic, pessimistic = before.optimistic.copy(), before.pessimistic.copy()
    for row, (answer, link) in enumerate(answered):
        place = _place(link, answer)
        if place is not None:
            scores = [candidate.score for candidate in link.candidates[:TOP]]
            optimistic[row], pessimistic[row] = rank_among(scores, place)
    return Ranks(optimistic, pessimistic)
