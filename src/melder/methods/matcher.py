"""The composition that every matching method is: heads, units, a mean of their scores, and losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from melder.features import Features, Heads, Scores, Side
from melder.methods.gate import Gate
from melder.methods.losses import Batch, cross_entropy
from melder.methods.several_pictures import bounds_of, further_tensors, score_pictures, vectors_of, with_further
from melder.methods.total import PLAIN_MEAN, TotalOptions
from melder.protocols import Bounded, Dense, SideTensor, Unit
from melder.records import MelderError
from melder.units.lexical import Lexical

__all__ = ["Loss", "ScoreLoss", "UnitMatcher"]

Loss = Callable[[Batch], Tensor]
ScoreLoss = Callable[[Tensor, Batch], Tensor]


class UnitMatcher(nn.Module):
    """total = mean over the units' scores, each times its weight, + weight * lexical cosine.

    Args:
        heads: From `Features` to `Heads`, shared by mentions and entities.
        units: By name, in the order of the method.
        lexical: The lexical unit, or None for the published score.
        losses: What the method adds to the cross-entropies, by name; each reads a `Batch` and gives a scalar.
        score_losses: The same of losses that read scores [m, e] beside the batch, for the total and for each unit.
        ranking_loss: What is minimised for the total and for each unit.
        total: Which units count, how much, and with how many pictures.
    """

    unit_weights: Tensor

    def __init__(
        self,
        heads: nn.Module,
        units: Mapping[str, nn.Module],
        lexical: Lexical | None = None,
        losses: Mapping[str, Loss] | None = None,
        score_losses: Mapping[str, ScoreLoss] | None = None,
        ranking_loss: ScoreLoss = cross_entropy,
        total: TotalOptions = PLAIN_MEAN,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.units = nn.ModuleDict(units)
        self.lexical = lexical
        self.extra_losses = dict(losses or {})
        self.score_losses = dict(score_losses or {})
        self.ranking_loss = ranking_loss
        self.pictures, self.picture_pooling = total.pictures, total.picture_pooling
        self.weighted = total.weighted
        if total.weighted:
            self.register_buffer("unit_weights", torch.ones(len(units)))
        self.training_units = tuple(total.training_units or units)
        self.evaluation_units = tuple(total.evaluation_units or units)
        self.gate = Gate(self.evaluation_units, self._score, lexical) if total.gated else None

    def mention_side(self, features: Features) -> Side:
        return self.mention_side_of(self.heads(features))

    def entity_side(self, features: Features) -> Side:
        return self.entity_side_of(self.heads(features))

    def mention_side_of(self, heads: Heads) -> Side:
        """Every unit's side of mentions, under the unit's name, of what the heads made."""
        return self._beside_gate(self._side(heads, lambda unit, views: unit.mention_side(views)), heads)

    def entity_side_of(self, heads: Heads) -> Side:
        """Every unit's side of entities, under the unit's name, of what the heads made."""
        return self._side(heads, lambda unit, views: unit.entity_side(views))

    @property
    def entity_tensors(self) -> dict[str, SideTensor]:
        """How the store may hold the tensors of an entity side, by their names there."""
        return {
            f"{name}.{tensor}": form.of(name)
            for name, unit in self._all_units().items()
            for tensor, form in self._tensors(unit).items()
        }

    def score(self, mentions: Side, entities: Side, cosines: Tensor | None = None) -> Scores:
        """Scores [mentions, entities] of the units in use, and their total; `cosines` of names, of that shape, where
        they are known already."""
        parts = {name: self._score(name, mentions, entities) for name in self.names_in_use()}
        weights = self._weights(mentions)
        total = torch.stack([self._weigh(name, scores, weights) for name, scores in parts.items()]).mean(dim=0)
        if self.lexical is not None:
            cosines = self._score("lexical", mentions, entities) if cosines is None else cosines
            parts["lexical"] = self.lexical.weight * cosines
            total = total + self._weigh("lexical", parts["lexical"], weights)
        return Scores(total, parts, weights)

    def contributions(self, scores: Scores) -> dict[str, Tensor]:
        """What each unit adds to the total, [mentions, entities] by name; their sum is the total."""
        units = self.names_in_use()
        weighed = {name: self._weigh(name, part, scores.weights) for name, part in scores.parts.items()}
        return {name: part / len(units) if name in units else part for name, part in weighed.items()}

    def name_weights(self, mentions: Side) -> Tensor:
        """[mentions], what a cosine of names counts in the total; 0 where names are not compared."""
        weights = self._weights(mentions)
        return self._name_weight.expand(mentions.rows) * (1 if weights is None else weights["lexical"][:, 0])

    def set_unit_weights(self, weights: Mapping[str, float]) -> None:
        """Have each unit count so much, at least 0, in the mean; units that are not named keep theirs.

        Raises:
            MelderError: The units of this matcher have no weights.
        """
        if not self.weighted:
            raise MelderError("the units have no weights; set method.unit_weights: fitted")
        for name, weight in weights.items():
            self.unit_weights[list(self.units).index(name)] = weight

    def losses(self, batch: Batch, scores: Scores) -> dict[str, Tensor]:
        """The ranking loss over the total and over each unit, and the method's own; training adds them up."""
        parts = {name: scores.parts[name] for name in self.names_in_use()}
        parts = {"total": scores.total, **parts}
        losses = {name: self.ranking_loss(scores_of, batch) for name, scores_of in parts.items()}
        for kind, loss in self.score_losses.items():
            losses |= {f"{kind}_{name}": loss(scores_of, batch) for name, scores_of in parts.items()}
        return {**losses, **{name: loss(batch) for name, loss in self.extra_losses.items()}}

    def names_in_use(self, *, lexical: bool = False) -> tuple[str, ...]:
        """The units that make up the total now, in training or outside it; the lexical one, if asked for, last."""
        names = self.training_units if self.training else self.evaluation_units
        return (*names, "lexical") if lexical and self.lexical is not None else names

    def mention_vectors(self, side: Side) -> Tensor:
        """[n, d]: the vectors of all units in use that hand out some, side by side; d = 0 where none does.

        Their inner products with `entity_vectors` are the part of the total that these units have as such.
        """
        vectors = self._weighed(
            side, {name: vectors_of(side.part(name), unit.mention_vectors) for name, unit in self._dense()}
        )
        return self._beside(side, vectors) / len(self.names_in_use())

    def entity_vectors(self, side: Side) -> Tensor:
        """[n, d]; see `mention_vectors`."""
        return self._beside(side, [vectors_of(side.part(name), unit.entity_vectors) for name, unit in self._dense()])

    @property
    def has_bounds(self) -> bool:
        """Whether every unit in use has a bound."""
        return all(unit.has_bounds for _, unit in self.units_in_use())

    def mention_bounds(self, side: Side) -> Tensor:
        """[n, b]: the bounds of all units in use, side by side.

        An inner product with `entity_bounds` is at least the mean of the units' scores.

        Raises:
            MelderError: A unit has no bound.
        """
        bounds = {
            name: self._bounds(unit, side.part(name), unit.mention_bounds, query=True) for name, unit in self._bounded()
        }
        return torch.cat([*self._weighed(side, bounds), *self._less(side)], dim=1)

    def entity_bounds(self, side: Side) -> Tensor:
        """[n, b]; see `mention_bounds`."""
        share = 1 / len(self.names_in_use())
        bounds = [
            self._bounds(unit, side.part(name), unit.entity_bounds, query=False) for name, unit in self._bounded()
        ]
        ones = [] if self.gate is None else [bounds[0].new_ones(side.rows, 1)]  # for what `mention_bounds` is less
        return share * torch.cat([*bounds, *ones], dim=1)

    def units_in_use(self) -> list[tuple[str, Unit]]:
        """The units of `names_in_use`, without the lexical one."""
        return [(name, cast(Unit, self.units[name])) for name in self.names_in_use()]

    def _dense(self) -> list[tuple[str, Dense]]:
        return [(name, cast(Dense, unit)) for name, unit in self.units_in_use() if unit.has_vectors]

    def _bounded(self) -> list[tuple[str, Bounded]]:
        free = [name for name, unit in self.units_in_use() if not unit.has_bounds]
        if free:
            raise MelderError(f"the unit {free[0]!r} has no bound of its scores, so that nothing can be certified")
        return [(name, cast(Bounded, unit)) for name, unit in self.units_in_use()]

    @staticmethod
    def _beside(side: Side, vectors: list[Tensor]) -> Tensor:
        return torch.cat([torch.empty(side.rows, 0, device=side.device), *vectors], dim=1)

    @property
    def _name_weight(self) -> Tensor:
        return torch.zeros(()) if self.lexical is None else self.lexical.weight.detach()

    def _weights(self, mentions: Side) -> dict[str, Tensor] | None:
        """What each unit in use, and what names add, counts, [mentions or 1, 1]; None = the same."""
        if not self.weighted or self.training:
            return None
        names = self.names_in_use()
        weights = self.unit_weights[[list(self.units).index(name) for name in names]]
        weights = torch.cat([weights, weights.new_ones(1)])[None]
        if self.gate is not None:
            weights = self.gate.weights(mentions, weights[0].log(), self.gate.slopes, self._name_weight)
        return {name: weights[:, column, None] for column, name in enumerate((*names, "lexical"))}

    def _weigh(self, name: str, scores: Tensor, weights: Mapping[str, Tensor] | None) -> Tensor:
        """Scores [mentions, entities] as they count; with a gate, less what unrelated pairs get."""
        if weights is None:
            return scores
        return weights[name] * (scores if self.gate is None else scores - self.gate.mean(name))

    def _weighed(self, side: Side, values: Mapping[str, Tensor]) -> list[Tensor]:
        """Of each unit [n, d], times a weight that is at least 0, so that what bounds a score bounds it still."""
        weights = self._weights(side)
        return [value if weights is None else weights[name] * value for name, value in values.items()]

    def _less(self, side: Side) -> list[Tensor]:
        """[n, 1], what a gate takes from the bounds of each mention; nothing without a gate."""
        weights = self._weights(side)
        if self.gate is None or weights is None:
            return []
        return [-torch.stack([weights[name] * self.gate.mean(name) for name in self.names_in_use()]).sum(dim=0)]

    def _all_units(self) -> dict[str, Unit]:
        units = {name: cast(Unit, unit) for name, unit in self.units.items()}
        return units if self.lexical is None else {**units, "lexical": self.lexical}

    def _score(self, name: str, mentions: Side, entities: Side) -> Tensor:
        unit = self._all_units()[name]
        sides = mentions.part(name), entities.part(name)
        return score_pictures(unit, *sides, self.picture_pooling) if unit.reads_pictures else unit.score(*sides)

    def _beside_gate(self, side: Side, heads: Features) -> Side:
        """The side, and what the gate reads of the mentions outside of training."""
        if self.gate is None or self.training:
            return side
        return Side({**side, **Side.join({"gate": self.gate.mention_side(heads, side, self.lexical)})})

    def _side(self, heads: Heads, side_of: Callable[[Unit, Features], Side]) -> Side:
        """Every unit's side, and of those that read pictures that of the further ones."""
        units = self._all_units()
        sides = {name: side_of(unit, heads) for name, unit in units.items()}
        views = heads.encoded.further_views() if self.pictures > 1 and heads.encoded is not None else None
        if heads.encoded is not None and views is not None:
            of_views = self.heads(views)
            for name, unit in units.items():
                if unit.reads_pictures:
                    sides[name] = with_further(sides[name], side_of(unit, of_views), heads.encoded)
        return Side.join(sides)

    def _tensors(self, unit: Unit) -> Mapping[str, SideTensor]:
        several = unit.reads_pictures and self.pictures > 1
        return {**unit.entity_tensors, **(further_tensors(unit) if several else {})}

    def _bounds(self, unit: Unit, side: Side, bounds: Callable[[Side], Tensor], *, query: bool) -> Tensor:
        """A mean is bounded by that of the bounds; whatever may be as large as the largest, by their ball."""
        if not unit.reads_pictures or self.pictures == 1:
            return bounds(side)
        if self.picture_pooling == "mean":
            return vectors_of(side, bounds)
        return bounds_of(side, bounds, query=query)
