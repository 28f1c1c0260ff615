"""Stored predictions beside the data that they were made on: mentions, links and ranks again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from melder.data.dataset import DataSet
from melder.evaluation.predictions import Prediction, Scored
from melder.records import Candidate, Entity, Link, MelderError, Mention, Ranks

__all__ = ["links_of", "listed", "mentions_of", "ranks_of"]

LISTED = 5  # ids that a message names


def ranks_of(rows: Iterable[Prediction]) -> Ranks:
    """The stored ranks of the predictions that have one, in order.

    Args:
        rows: Predictions.

    Returns:
        In their order.
    """
    pairs = [(row.rank_optimistic, row.rank_pessimistic) for row in rows if row.gold is not None]
    optimistic, pessimistic = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Ranks(optimistic, pessimistic)


def mentions_of(rows: Sequence[Prediction], dataset: DataSet, file: str) -> tuple[str, list[Mention]]:
    """The split that predictions are of, and their mentions in order.

    That is the split which holds all their ids with their answers: test, dev or train, in this order.

    Args:
        rows: Predictions.
        dataset: Of the mentions.
        file: For messages.

    Returns:
        Both.

    Raises:
        MelderError: None does; with the ids that the nearest one lacks.
    """
    lacking: dict[str, list[str]] = {}
    for split in reversed(dataset.splits):
        by_id = {mention.id: mention for mention in dataset.split(split)}
        lacking[split] = [row.id for row in rows if row.id not in by_id or by_id[row.id].answer != row.gold]
        if not lacking[split]:
            return split, [by_id[row.id] for row in rows]
    if not lacking:
        raise MelderError(f"{dataset.directory}: has no split, only entities; give the data set of {file}")
    nearest = min(lacking, key=lambda split: len(lacking[split]))
    raise MelderError(
        f"{file}: no split of {dataset.directory} holds all of its mentions with the same answers; {nearest} comes "
        f"nearest and lacks {listed(lacking[nearest])}; give the data set that was evaluated"
    )


def links_of(
    rows: Sequence[Prediction], mentions: Sequence[Mention], entities: Mapping[str, Entity], file: str
) -> list[Link]:
    """Predictions as links, with names.

    Args:
        rows: Predictions.
        mentions: Of these, in their order.
        entities: By id.
        file: For messages.

    Returns:
        In the same order.

    Raises:
        MelderError: The entities cannot be theirs.
    """
    return [_link(row, mention, entities, file) for row, mention in zip(rows, mentions, strict=True)]


def listed(ids: Sequence[str]) -> str:
    """The first few ids, and how many there are.

    Args:
        ids: Any number of them.

    Returns:
        In words.
    """
    few = ", ".join(repr(identity) for identity in ids[:LISTED])
    return few if len(ids) <= LISTED else f"{few} and {len(ids) - LISTED:,} more"


def _link(row: Prediction, mention: Mention, entities: Mapping[str, Entity], file: str) -> Link:
    _check_entities(row, entities, file)
    return Link(
        id=row.id,
        start=mention.start,
        end=mention.end,
        surface=mention.surface,
        nil_probability=row.nil_probability,
        candidates=tuple(_candidate(candidate, entities[candidate.id]) for candidate in row.candidates),
    )


def _check_entities(row: Prediction, entities: Mapping[str, Entity], file: str) -> None:
    remedy = "name the data set of the candidates with --kb"
    unknown = [candidate.id for candidate in row.candidates if candidate.id not in entities]
    unknown += [row.gold] if row.gold is not None and row.gold not in entities else []
    if unknown:
        raise MelderError(f"{file}, mention {row.id!r}: {listed(unknown)} not among the entities; {remedy}")
    if row.rank_pessimistic is not None and row.rank_pessimistic > len(entities):
        raise MelderError(
            f"{file}, mention {row.id!r}: rank {row.rank_pessimistic:,} among {len(entities):,} entities; {remedy}"
        )


def _candidate(scored: Scored, entity: Entity) -> Candidate:
    return Candidate(id=scored.id, name=entity.name, score=scored.score, units=scored.units)
