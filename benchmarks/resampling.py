"""Larger knowledge bases than there are data for: entities made of those of one that is there, without an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from melder.features import Heads, Side
from melder.kb import KnowledgeBase
from melder.protocols import Matcher
from melder.records import Entity

__all__ = ["resampled"]

NOISE = 0.1  # of a tensor's own deviation


def resampled(base: KnowledgeBase, matcher: Matcher, start: int, count: int) -> tuple[list[Entity], Side]:
    """Entities from number `start` on, and their sides: each another one's with a tenth of noise, under a name put
    together from two names. They depend on nothing but that number."""
    draw, noise = np.random.default_rng(start), torch.Generator().manual_seed(start)
    rows = draw.integers(len(base), size=(2, count))
    names, lexical = _names(base), matcher.lexical
    made = [_new_name(names[one], names[other]) for one, other in rows.T.tolist()]
    entities = [Entity(id=f"M{start + row}", name=name) for row, name in enumerate(made)]
    side = dict(base.side(torch.from_numpy(rows[0]), matcher.names_in_use(lexical=False)))
    for name, tensor in side.items():
        if tensor.is_floating_point() and tensor.dim() > 1:
            side[name] = tensor + NOISE * tensor.std() * torch.randn(tensor.shape, generator=noise)
    if lexical is not None:
        side |= Side.join({"lexical": lexical.entity_side(_named(entities))})
    return entities, Side(side)


@lru_cache(1)
def _names(base: KnowledgeBase) -> list[str]:
    return [entity.name or entity.id for entity in base.entities]


def _new_name(one: str, other: str) -> str:
    """The first half of the words of one name, and the last half of another's."""
    first, last = one.split(), other.split()
    return " ".join(first[: (len(first) + 1) // 2] + last[len(last) // 2 :])


def _named(entities: Sequence[Entity]) -> Heads:
    """Heads of which the lexical unit reads the names, and nothing else is there."""
    none = torch.zeros(len(entities), 1)
    return Heads(none, none[:, None], surfaces=[entity.names for entity in entities])
