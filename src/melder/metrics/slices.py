"""The metrics of groups of mentions that are easier or harder: where a method gains, and where it does not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from melder.metrics.answers import answers
from melder.metrics.metrics import Metrics, metrics
from melder.metrics.popularity import popularity
from melder.names import folded
from melder.records import Entity, Mention, Ranks

__all__ = ["group_names", "groups", "slices"]


def groups(
    mentions: Sequence[Mention], entities: Mapping[str, Entity], seen: Collection[str] | None
) -> dict[str, np.ndarray]:
    """Boolean arrays [mentions] by the name of the group; pairs of groups part the mentions in two.

    `seen` holds the ids of the entities that were answers in training, best with how often they were, a group for each
    range of times; None = unknown, and those groups are left out. Names are compared as `melder.names.folded` gives
    them.

    Args:
        mentions: Those that are grouped.
        entities: By id, with all answers among them.
        seen: Ids of entities that were answers in training.

    Returns:
        A mask [mentions] of each group.

    Raises:
        MelderError: An answer that `entities` lacks.
    """
    golds = [entities[answer] for answer in answers(mentions, entities)]
    picture = [mention.image is not None for mention in mentions]
    same = [folded(m.surface) == folded(gold.name) for m, gold in zip(mentions, golds, strict=True)]
    grouped = {
        **_parted("picture", "no picture", picture),
        **_parted("surface is the name", "surface differs from the name", same),
    }
    if seen is None:
        return grouped
    trained = frozenset(seen)
    grouped |= _parted("seen in training", "not seen in training", [gold.id in trained for gold in golds])
    return grouped | popularity([gold.id for gold in golds], seen) if isinstance(seen, Mapping) else grouped


def group_names(
    mentions: Sequence[Mention], entities: Mapping[str, Entity], seen: Collection[str] | None
) -> list[list[str]]:
    """The groups of each mention by name; none for a NIL mention.

    Args:
        mentions: Those that are grouped.
        entities: By id, with all answers among them.
        seen: Ids of entities that were answers in training; None = unknown.

    Returns:
        Names of groups, in the order of the mentions.
    """
    answered = [row for row, mention in enumerate(mentions) if mention.answer is not None]
    names: list[list[str]] = [[] for _ in mentions]
    for name, inside in groups([mentions[row] for row in answered], entities, seen).items():
        for row in np.flatnonzero(inside):
            names[answered[row]].append(name)
    return names


def slices(
    mentions: Sequence[Mention],
    entities: Mapping[str, Entity],
    seen: Collection[str] | None,
    ranks: Ranks,
    seed: int = 0,
) -> dict[str, Metrics]:
    """The metrics of each group of `mentions` that has any; `ranks` are theirs, in the same order.

    Args:
        mentions: With answers.
        entities: By id, with all answers among them.
        seen: Ids of entities that were answers in training; None = unknown.
        ranks: Of the mentions, in the same order.
        seed: Of the bootstrap.

    Returns:
        Metrics by the name of the group.
    """
    return {
        name: metrics(Ranks(ranks.optimistic[rows], ranks.pessimistic[rows]), len(entities), seed)
        for name, rows in groups(mentions, entities, seen).items()
        if rows.any()
    }


def _parted(inside: str, outside: str, flags: Sequence[bool]) -> dict[str, np.ndarray]:
    rows = np.array(flags, dtype=bool)
    return {inside: rows, outside: ~rows}
