r"""Global and local matching within one modality: MIMIC's TGLU, M3EL's TIMM (text) and IIMM (image).

    score = (<m, e> + <W_c e, c>) / 2

with m and e the two global vectors, and c the mention's tokens as the entity's tokens attend to them
(`melder.ops.global_local`). MIMIC section 3.3.1; M3EL section 3.2. `assignment: transport` puts OT-MEL's plan, its rows
divided by their sums, in the place of attention (`melder.ops.global_transport`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from melder.features import Alignment, Heads, Side
from melder.ops.assignment import Assignment, Kind, aligned
from melder.ops.global_local import Norm, pooled_scores
from melder.ops.global_transport import transported_scores
from melder.ops.product_dtype import ProductKind, product_dtype
from melder.ops.tiled_scores import tiled_scores
from melder.protocols import SideTensor
from melder.units.local import Local
from melder.units.local_side import Modality, local_side, to_keys, to_queries

__all__ = ["GlobalLocal"]


class GlobalLocal(Local):
    """Sides: `query` [n, L, h], `target` [n, h] of an entity; `key`, `value` [n, L, h] of a mention; `global`
    [n, g] of both; `mask` [n, L] for text; `present` [n]. An encoder without vision leaves `present` alone.

    Args:
        products: What queries and keys are multiplied in outside training (`melder.ops.product_dtype`); the rest is
            computed in the weights' type.
    """

    # A mean over the entity's tokens stays one where some of them are one token that counts for all of these.
    entity_tensors: Mapping[str, SideTensor] = {
        **Local.entity_tensors,
        "query": SideTensor(tokens="mask", share="share"),
        "share": SideTensor(tokens="mask", rounded=False),
    }

    def __init__(
        self,
        modality: Modality,
        global_width: int,
        token_width: int,
        hidden: int,
        assignment: Kind = "attention",
        products: ProductKind = "float32",
    ) -> None:
        super().__init__()
        self.products = products
        self.modality = modality
        self.assignment = Assignment(assignment)
        self.query = nn.Linear(token_width, hidden)
        self.key = nn.Linear(token_width, hidden)
        self.value = nn.Linear(token_width, hidden)
        self.target = nn.Linear(global_width, hidden)
        self.norm = nn.LayerNorm(hidden)

    def entity_side(self, heads: Heads) -> Side:
        return local_side(heads, self.modality, query=self.query, target=self.target)

    def mention_side(self, heads: Heads) -> Side:
        return local_side(heads, self.modality, key=self.key, value=self.value)

    def align(self, mentions: Side, entities: Side) -> Alignment:
        """What entity tokens (third axis) are assigned of mention tokens (fourth axis)."""
        kind = self.norm.weight.dtype
        return Alignment(*aligned(self.assignment, to_queries(entities).to(kind), to_keys(mentions).to(kind)))

    def local_scores(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]; with gradients through the attention, without them by tiles."""
        norm = Norm(self.norm.weight, self.norm.bias, self.norm.eps)
        queries, keys = to_queries(entities), to_keys(mentions)
        if self.assignment.kind == "transport":
            return transported_scores(self.assignment, queries, keys, norm)
        if torch.is_grad_enabled() or queries.query.device.type != "cpu":
            return pooled_scores(queries, keys, norm)
        return tiled_scores(queries, keys, norm, product_dtype(self.products, len(norm.weight)))
