r"""Global and local matching within one modality: MIMIC's TGLU, M3EL's TIMM (text) and IIMM (image).

    score = (<m, e> + <W_c e, c>) / 2

with m and e the two global vectors, and c the mention's tokens as the entity's tokens attend to them
(`melder.ops.global_local`). MIMIC section 3.3.1; M3EL section 3.2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from melder.features import Alignment, Heads, Side
from melder.ops.global_local import Keys, Norm, Queries, attention, pooled_scores, tiled_scores
from melder.units.absent import Absent

__all__ = ["GlobalLocal"]

Modality = Literal["text", "image"]


class GlobalLocal(nn.Module):
    """Sides: `query` [n, L, h], `target` [n, h] of an entity; `key`, `value` [n, L, h] of a mention; `global`
    [n, g] of both; `mask` [n, L] for text; `present` [n]. An encoder without vision leaves `present` alone.
    """

    def __init__(self, modality: Modality, global_width: int, token_width: int, hidden: int) -> None:
        super().__init__()
        self.modality = modality
        self.query = nn.Linear(token_width, hidden)
        self.key = nn.Linear(token_width, hidden)
        self.value = nn.Linear(token_width, hidden)
        self.target = nn.Linear(global_width, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.absent = Absent()

    def entity_side(self, heads: Heads) -> Side:
        return self._side(heads, query=self.query, target=self.target)

    def mention_side(self, heads: Heads) -> Side:
        return self._side(heads, key=self.key, value=self.value)

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]; with gradients through the attention, without them by tiles."""
        if "global" not in mentions or "global" not in entities:
            return self.absent.everywhere(mentions, entities)
        kind = self.norm.weight.dtype
        product = mentions["global"].to(kind) @ entities["global"].to(kind).t()
        score = (self._local(mentions, entities) + product) / 2
        return self.absent.forward(score, mentions, entities)

    def align(self, mentions: Side, entities: Side) -> Alignment:
        """Attention of entity tokens (third axis) to mention tokens (fourth axis)."""
        kind = self.norm.weight.dtype
        weights, logits = attention(_queries(entities).to(kind), _keys(mentions).to(kind))
        return Alignment(weights, logits)

    def _local(self, mentions: Side, entities: Side) -> Tensor:
        norm = Norm(self.norm.weight, self.norm.bias, self.norm.eps)
        scores = pooled_scores if torch.is_grad_enabled() else tiled_scores
        return scores(_queries(entities), _keys(mentions), norm)

    def _side(self, heads: Heads, **projections: nn.Module) -> Side:
        if self.modality == "image" and heads.image_global is None:
            return Side({"present": heads.has_image})
        image = self.modality == "image"
        whole = heads.image_global if image else heads.text_global
        tokens = heads.image_tokens if image else heads.text_tokens
        assert whole is not None
        assert tokens is not None
        side = {name: make(whole if name == "target" else tokens) for name, make in projections.items()}
        mask = {} if image or heads.text_mask is None else {"mask": heads.text_mask}
        return Side({**side, **mask, "global": whole, "present": heads.has_image if image else heads.has_text})


def _queries(entities: Side) -> Queries:
    return Queries(entities["query"], entities["target"], entities.get("mask"))


def _keys(mentions: Side) -> Keys:
    return Keys(mentions["key"], mentions["value"], mentions.get("mask"))
