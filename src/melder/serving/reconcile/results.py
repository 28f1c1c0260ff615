"""Answers to queries of the Reconciliation API 0.2: the linker's candidates, and whoever is named outright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from melder.names import folded
from melder.records import Candidate, Entity, Link
from melder.serving.catalogue import Catalogue
from melder.serving.reconcile.queries import ReconciliationQuery

__all__ = ["identified_result", "is_certain", "lacks_type", "results"]

CERTAIN = 100.0  # the score of an entity whose id is the query


def results(
    query: ReconciliationQuery, link: Link, catalogue: Catalogue, most: int, identified: Entity | None = None
) -> list[dict[str, Any]]:
    """Candidates in the API's form, best first, among them every entity that has just this name, and whose id it is.

    Without context and picture those come first, with the best score: then the name is all there is to go by. Entities
    of a type that is asked for come before others, which are no match. A match is the first candidate, when it is the
    only entity of that name and (where a type is asked for) of that type. A name that is the same but for diacritics
    raises an entity, and is no match: Müller and Muller are two people as often as one.
    """
    named = [entity for entity in catalogue.named(query.surface) if query.admits(entity)] if query.surface else []
    if identified is not None and identified.id not in {entity.id for entity in named}:
        named.append(identified)
    candidates = [(candidate, catalogue.entity(candidate.id)) for candidate in link.candidates]
    ranked = [(entity, candidate) for candidate, entity in candidates if entity is not None]
    ranked = _with_named(ranked, named, first=not query.properties)
    ranked = _typed_first(ranked, query)[: query.wanted(most)]
    meant = [entity.id for entity in named if query.is_typed(entity) and _is_meant(query, entity, identified)]
    return [
        _result(entity, candidate, query, link.nil_probability, match=place == 0 and meant == [entity.id])
        for place, (entity, candidate) in enumerate(ranked)
    ]


def lacks_type(query: ReconciliationQuery, link: Link, catalogue: Catalogue) -> bool:
    """Whether candidates should be of a type, entities are, and no candidate is: they are then looked for apart."""
    if query.type_strict != "should" or not query.types or not {*query.types} & {*catalogue.types}:
        return False
    entities = (catalogue.entity(candidate.id) for candidate in link.candidates)
    return not any(entity is not None and query.is_typed(entity) for entity in entities)


def _is_meant(query: ReconciliationQuery, entity: Entity, identified: Entity | None) -> bool:
    """Whether the query is a name of the entity with its diacritics, or its id."""
    if identified is not None and entity.id == identified.id:
        return True
    return folded(query.surface) in map(folded, entity.names)


def is_certain(query: ReconciliationQuery, entity: Entity, catalogue: Catalogue) -> bool:
    """Whether a query that is an entity's id can mean no other: it is nobody's name, and of the type asked for."""
    others = [other for other in catalogue.named(query.surface) if other.id != entity.id and query.admits(other)]
    return not others and query.is_typed(entity)


def identified_result(query: ReconciliationQuery, entity: Entity) -> dict[str, Any]:
    """The answer to a query that is an entity's id."""
    return _result(entity, Candidate(id=entity.id, name=entity.name, score=CERTAIN), query, None, match=True)


Ranked = list[tuple[Entity, Candidate]]


def _typed_first(ranked: Ranked, query: ReconciliationQuery) -> Ranked:
    """Entities of a type asked for before others, which get no better a score than theirs: clients sort by it."""
    typed = [pair for pair in ranked if query.is_typed(pair[0])]
    others = [pair for pair in ranked if not query.is_typed(pair[0])]
    if not typed or not others:
        return ranked
    most = typed[-1][1].score
    return typed + [(entity, each.model_copy(update={"score": min(each.score, most)})) for entity, each in others]


def _with_named(ranked: Ranked, named: Sequence[Entity], *, first: bool) -> Ranked:
    scored = {entity.id for entity, _ in ranked}
    best, worst = (ranked[0][1].score, ranked[-1][1].score) if ranked else (0.0, 0.0)
    missing = [(each, Candidate(id=each.id, name=each.name, score=worst)) for each in named if each.id not in scored]
    ranked = ranked + missing
    if not first or not named:
        return ranked
    ids = {entity.id for entity in named}
    raised = [(entity, each.model_copy(update={"score": best})) for entity, each in ranked if entity.id in ids]
    return raised + [pair for pair in ranked if pair[0].id not in ids]


def _result(
    entity: Entity, candidate: Candidate, query: ReconciliationQuery, nil_probability: float | None, *, match: bool
) -> dict[str, Any]:
    features: dict[str, float | bool] = dict(candidate.units)
    if nil_probability is not None:
        features["nil_probability"] = nil_probability
    if query.types:
        features["type_match"] = any(kind in entity.types for kind in query.types)
    return {
        "id": entity.id,
        "name": entity.name or entity.id,
        "description": entity.description,
        "type": [{"id": kind, "name": kind} for kind in entity.types],
        "score": candidate.score,
        "match": match,
        "features": [{"id": name, "value": value} for name, value in features.items()],
    }
