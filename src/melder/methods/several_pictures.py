r"""Several pictures of a mention or an entity: every pair of them is scored, and the scores become one.

With V_m pictures of a mention, V_e of an entity, and the score s_ij that a unit gives the i-th of these and the j-th of
those,

    log_mean_exp   log (sum_ij exp s_ij / (V_m V_e))
    max            max_ij s_ij
    mean           sum_ij s_ij / (V_m V_e)

Of one picture each, all three are the score itself. `log_mean_exp` is the log-likelihood of a mention that shows any
one of the pictures, all as likely: it is near the maximum where one fits much better and the mean where all fit alike,
and having more pictures is no advantage as such. Pictures that cannot be read are left out; of an item without any, a
unit says what it says of none.

A side has a unit's tensors of the first pictures under their own names and, where a row has more, those of the further
ones as `further_...` [n, K, …]. `further_there` [n, K] says where there is one, and `further_first` [n, K], at each of
them, whether the first could be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from melder.features import Features, Side, concatenate
from melder.ops.picture_scores import Pictures, Pooling, ball, mean_vectors, pooled
from melder.protocols import SideTensor, Unit

__all__ = [
    "best_pictures",
    "bounds_of",
    "further_tensors",
    "pictures_in",
    "score_pictures",
    "vectors_of",
    "with_further",
]

FURTHER = "further_"
THERE, FIRST = f"{FURTHER}there", f"{FURTHER}first"


def with_further(first: Side, further: Side, features: Features) -> Side:
    """A unit's side of first and further pictures, in one bundle.

    Args:
        first: Of the first pictures, [n].
        further: Of the further pictures, [x].
        features: Which items [n] the further pictures belong to.

    Returns:
        The tensors of `first`, and those of `further` [n, K, …] padded to the most that an item has.
    """
    pictures = features.further
    assert pictures is not None
    owners, places, widest = pictures.owners, pictures.places, int(pictures.counts.max())
    tensors = {FURTHER + name: tensor for name, tensor in further.items()}
    tensors |= {THERE: pictures.image_mask, FIRST: features.has_image[owners]}
    for name, tensor in tensors.items():
        padded = tensor.new_zeros(len(features), widest, *tensor.shape[1:])
        padded[owners, places] = tensor
        tensors[name] = padded
    return Side({**first, **tensors})


def further_tensors(unit: Unit) -> dict[str, SideTensor]:
    """How the store may hold what `with_further` adds to a unit's side of entities.

    Args:
        unit: Whose side of entities it is.

    Returns:
        By name, as `entity_tensors` of a unit.
    """
    forms = {FURTHER + name: form.renamed(FURTHER) for name, form in unit.entity_tensors.items()}
    forms |= {THERE: SideTensor(), FIRST: SideTensor()}
    return {name: replace(form, pictures=THERE, weights=None) for name, form in forms.items()}


def score_pictures(unit: Unit, mentions: Side, entities: Side, pooling: Pooling) -> Tensor:
    """The unit's scores of all pairs of pictures of a mention and an entity, made one.

    The first pictures are scored as if there were no others, so that whoever has no others scores as ever.

    Args:
        unit: What compares them.
        mentions, entities: Its sides, which may have further pictures.
        pooling: How the scores of pairs of pictures become one.

    Returns:
        [mentions, entities].
    """
    first, further = _apart(mentions)
    searched = _apart(entities)
    scores = _score_entities(unit, first, searched, pooling)
    if further is None:
        return scores
    others = _score_entities(unit, further.side, searched, pooling)
    return pooled(scores.t(), others.t(), further.pictures, pooling).t()


def vectors_of(side: Side, vectors: Callable[[Side], Tensor]) -> Tensor:
    """The mean of the vectors that a unit hands out of each row's pictures, for a first stage.

    Args:
        side: Of the unit, with or without further pictures.
        vectors: Makes vectors [n, d] of a side of n pictures.

    Returns:
        [n, d].
    """
    first, further = _apart(side)
    if further is None:
        return vectors(first)
    return mean_vectors(vectors(first), vectors(further.side), further.pictures)


def bounds_of(side: Side, bounds: Callable[[Side], Tensor], *, query: bool) -> Tensor:
    """What bounds the scores of any two pictures of a mention and an entity.

    Args:
        side: Of the unit, with or without further pictures.
        bounds: Makes bounds [n, b] of a side of n pictures.
        query: Whether the side is of mentions.

    Returns:
        [n, b + 2]; the inner product of a mention's and an entity's is the bound.
    """
    first, further = _apart(side)
    if further is None:
        single = bounds(first)
        nothing = single.new_zeros(len(single), 1)
        length = single.norm(dim=1, keepdim=True)
        return torch.cat([single, length, nothing] if query else [single, nothing, length], dim=1)
    return ball(bounds(first), bounds(further.side), further.pictures, query=query)


def pictures_in(side: Side) -> int:
    """How many pictures the row has at most that has the most.

    Args:
        side: Of a unit.

    Returns:
        1 where no row has a further one.
    """
    return 1 + (side[THERE].shape[1] if THERE in side else 0)


def best_pictures(unit: Unit, mention: Side, entities: Side) -> tuple[Side, Side, list[tuple[int, int]]]:
    """The pictures of one mention and of each entity [n] that the unit scores highest together.

    Args:
        unit: What compares them.
        mention: The side of one.
        entities: The side of n.

    Returns:
        The sides [n] of these, with one picture each, and their numbers, counted from 0, of mention and entity.
    """
    numbers = list(product(range(pictures_in(mention)), range(pictures_in(entities))))
    scores = []
    for own, other in numbers:
        (of_mention, there), (of_entities, present) = _picture(mention, own), _picture(entities, other)
        scores.append(unit.score(of_mention, of_entities)[0].masked_fill(~(there & present), float("-inf")))
    best = [numbers[place] for place in torch.stack(scores).argmax(dim=0).tolist()]
    sides = [
        (_picture(mention, own)[0], _picture(entities, other)[0].take(slice(row, row + 1)))
        for row, (own, other) in enumerate(best)
    ]
    return concatenate([own for own, _ in sides]), concatenate([other for _, other in sides]), best


def _picture(side: Side, number: int) -> tuple[Side, Tensor]:
    """A unit's side of one picture of each row, and whether it counts, [n]."""
    first, further = _apart(side)
    if number:
        return Side({name: side[FURTHER + name][:, number - 1] for name in first}), side[THERE][:, number - 1]
    there = torch.ones(side.rows, dtype=torch.bool, device=side.device)
    return first, there if further is None else further.pictures.counted


@dataclass(frozen=True)
class _Further:
    """A unit's side [x] of the further pictures, and whose they are."""

    side: Side
    pictures: Pictures


def _apart(side: Side) -> tuple[Side, _Further | None]:
    """The side of the first pictures, and that of the further ones that are there, if there are any."""
    first = Side({name: tensor for name, tensor in side.items() if not name.startswith(FURTHER)})
    if THERE not in side or not bool(side[THERE].any()):
        return first, None
    owner, place = side[THERE].nonzero(as_tuple=True)
    further = {name: tensor[owner, place] for name, tensor in side.items() if name.startswith(FURTHER)}
    there = torch.ones_like(side[THERE][:, 0]).index_copy(0, owner, further[FIRST])
    tensors = {name.removeprefix(FURTHER): tensor for name, tensor in further.items() if name not in (THERE, FIRST)}
    return first, _Further(Side(tensors), Pictures(owner, there))


def _score_entities(unit: Unit, mentions: Side, entities: tuple[Side, _Further | None], pooling: Pooling) -> Tensor:
    """[mentions, entities] of mentions with one picture each."""
    first, further = entities
    scores = unit.score(mentions, first)
    if further is None:
        return scores
    return pooled(scores, unit.score(mentions, further.side), further.pictures, pooling)
