"""Sides of the units that compare tokens with tokens within one modality, and how their scoring reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from melder.features import Heads, Side
from melder.ops.bounds import norm_upper_bound
from melder.ops.global_local import AttentionQueries, Keys, Norm

__all__ = ["Modality", "local_side", "local_upper_bound", "to_keys", "to_queries"]

Modality = Literal["text", "image"]


def local_side(heads: Heads, modality: Modality, **projections: Callable[[Tensor], Tensor]) -> Side:
    """The side of a unit that compares tokens of one modality with a global vector.

    Args:
        heads: Of n items.
        modality: Whose tokens and global vector.
        projections: Layers by the names of the tensors they make: of the tokens [n, L, d], but `target` of the global
            vector.

    Returns:
        Each projection under its name, `global` [n, g], `mask` [n, L] for text and `present` [n], which stands alone
        for pictures without vision.
    """
    image = modality == "image"
    if image and heads.image_global is None:
        return Side({"present": heads.has_image})
    whole = heads.image_global if image else heads.text_global
    tokens = heads.image_tokens if image else heads.text_tokens
    assert whole is not None
    assert tokens is not None
    side = {name: make(whole if name == "target" else tokens) for name, make in projections.items()}
    mask = {} if image or heads.text_mask is None else {"mask": heads.text_mask}
    return Side({**side, **mask, "global": whole, "present": heads.has_image if image else heads.has_text})


def to_queries(entities: Side) -> AttentionQueries:
    """An entity's side as what attends to the tokens of mentions.

    Args:
        entities: With `query` and `target`.

    Returns:
        The queries; where tokens were merged, each with the marginal that these had together.
    """
    share = entities.get("share")
    mass = entities.get("mass", share)
    return AttentionQueries(entities["query"], entities["target"], entities.get("mask"), mass, share)


def to_keys(mentions: Side) -> Keys:
    """A mention's side as what queries attend to.

    Args:
        mentions: With `key` and `value`.

    Returns:
        The keys, masked and weighted as the side says.
    """
    return Keys(mentions["key"], mentions["value"], mentions.get("mask"), mentions.get("mass"))


def local_upper_bound(entities: Side, norm: nn.LayerNorm) -> Tensor | float:
    """The most that <target, an output of the LayerNorm> can be.

    Args:
        entities: A side of n entities.
        norm: Of the unit.

    Returns:
        [n]; 0 without a target, so without vision.
    """
    if "target" not in entities:
        return 0.0
    return norm_upper_bound(entities["target"].to(norm.weight.dtype), Norm(norm.weight, norm.bias, norm.eps))
