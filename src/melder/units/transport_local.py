r"""Global and local matching by optimal transport within one modality: OT-MEL's unimodal matcher (section 3.2).

    score = (<m, e> + <W_c e, c>) / 2

with m and e the two global vectors, and c pooled from the entity's tokens, to each of which the mention's tokens that
it was assigned are added (`melder.ops.transport`). The plan is computed once a pair, the attention student costs less.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from melder.features import Alignment, Heads, Side
from melder.ops.assignment import Assignment, Kind, aligned
from melder.ops.global_local import Norm
from melder.ops.transport import Pooling, residual_scores
from melder.units.local import Local
from melder.units.local_side import Modality, local_side, to_keys, to_queries
from melder.units.soft_pool import SoftPool
from melder.units.transport_options import Marginal, TransportOptions

__all__ = ["OTGlobalLocal"]


class OTGlobalLocal(Local):
    """Sides: `query` [n, L, h], `target` [n, h] of an entity; `key`, `value` [n, L, h] of a mention; `mass` [n, L]
    of both with learned marginals; `global` [n, g], `mask` [n, L] for text, `present` [n].

    With `detach_plan` keys learn from nothing but a distillation, and queries from their own tokens beside it.

    Args:
        modality: Whose tokens and global vectors.
        global_width, token_width: Of these.
        hidden: h, of queries, keys, values and targets.
        options: How tokens are assigned to each other.
    """

    def __init__(
        self, modality: Modality, global_width: int, token_width: int, hidden: int, options: TransportOptions
    ) -> None:
        super().__init__()
        self.modality = modality
        self.options = options
        self.query = nn.Linear(token_width, hidden)
        self.key = nn.Linear(token_width, hidden)
        self.value = nn.Linear(token_width, hidden)
        self.target = nn.Linear(global_width, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.pool = SoftPool(hidden)
        self.marginal = Marginal(token_width) if options.marginals == "learned" else None

    def entity_side(self, heads: Heads) -> Side:
        return local_side(heads, self.modality, query=self.query, target=self.target, **self._mass(heads))

    def mention_side(self, heads: Heads) -> Side:
        return local_side(heads, self.modality, key=self.key, value=self.value, **self._mass(heads))

    def align(self, mentions: Side, entities: Side, assignment: Kind | None = None) -> Alignment:
        """What entity tokens (third axis) are assigned of mention tokens (fourth axis), rows summing to 1, and the
        logits of attention, whichever assigns; `assignment` overrides the unit's own."""
        kind = self.norm.weight.dtype
        chosen = self._assignment(assignment or self.options.assignment)
        return Alignment(*aligned(chosen, to_queries(entities).to(kind), to_keys(mentions).to(kind)))

    @property
    def last_norm(self) -> nn.LayerNorm:
        return self.pool.norm

    def local_scores(self, mentions: Side, entities: Side) -> Tensor:
        chosen = self._assignment(self.options.assignment)
        return residual_scores(chosen, to_queries(entities), to_keys(mentions), self._pooling())

    def _assignment(self, kind: Kind) -> Assignment:
        return Assignment(kind, self.options.epsilon, self.options.iterations, self.options.detach_plan)

    def _pooling(self) -> Pooling:
        return Pooling(
            position=Norm(self.norm.weight, self.norm.bias, self.norm.eps),
            weight=self.pool.weight.weight[0],
            pooled=Norm(self.pool.norm.weight, self.pool.norm.bias, self.pool.norm.eps),
            row_norm=self.options.row_norm,
            dropout=self.options.dropout if self.training else 0.0,
        )

    def _mass(self, heads: Heads) -> dict[str, Callable[[Tensor], Tensor]]:
        if self.marginal is None:
            return {}
        return {"mass": partial(self.marginal, mask=heads.text_mask if self.modality == "text" else None)}
