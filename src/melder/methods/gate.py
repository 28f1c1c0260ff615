r"""How much units and names count depends on the mention: weights that are log-linear in what is known of it.

    total(m, e) = sum_u w_u(m) (s_u(m, e) - μ_u) / U + w_names(m) w cos(m, e),    log w(m) = b + S f(m)

f(m) has, standardised over the mentions that it was fitted on: whether there is a picture, how long the text is, how
many entities are called by the surface and how many names it is a part of, whether it is all of the name of just one,
and for each unit the spread σ_u(m) of its own scores over `COHORT` entities, which are hardly related to the mention.
μ_u is what unrelated pairs get: the mean of these scores.

An exact and unique name is not overruled by noise. The luckiest of N unrelated entities is about √(2 ln N) deviations
ahead of what unrelated ones get. Where the surface is all of the name of one entity only, names count at least so much
that what an exact one is ahead of any other name covers that:

    w_names(m) w exact ≥ √(2 ln N) sqrt(sum_u (w_u(m) σ_u(m) / U)²)

All of this is known of the mention alone, so that every search (exact, two-stage, certified) stays what it is. Names
are counted when the gate is fitted, as their n-grams' frequencies are, and the cohort is stored in the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from melder.features import Features, Side
from melder.units.lexical import Lexical
from melder.units.name_owners import entities_with_bucket, owners_of

__all__ = ["Gate"]

COHORT = 64  # entities whose scores say how far a unit's scores of a mention lie apart
SHARED = 5  # features that all units share; the last is whether a name is exact and unique
FEWEST = 2  # entities, and mentions, that a spread is of
STORED = "cohort:"  # in front of the names of the cohort's tensors, in which a colon stands for each dot

ScoresOf = Callable[[str, Side, Side], Tensor]


class Gate(nn.Module):
    """Weights of the units, in this order, and of names, which come last.

    Args:
        score: A unit's scores [mentions, entities] by its name and the sides.
        lexical: What compares names, if anything does.
    """

    slopes: Tensor
    centre: Tensor
    scale: Tensor
    means: Tensor
    owners: Tensor
    entities: Tensor

    def __init__(self, units: Sequence[str], score: ScoresOf, lexical: Lexical | None) -> None:
        super().__init__()
        self.names, self.score = tuple(units), score
        self.exact = lexical.exact if lexical is not None else 0.0  # what an exact name's cosine is ahead of any other
        width, buckets = SHARED + len(units), lexical.buckets if lexical is not None else 0
        self.register_buffer("slopes", torch.zeros(len(units) + 1, SHARED + 1))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("means", torch.zeros(len(units)))
        self.register_buffer("owners", torch.zeros(buckets, dtype=torch.int32))
        self.register_buffer("entities", torch.tensor(FEWEST))

    @property
    def cohort(self) -> Side | None:
        """The sides of some entities; None before `learn_entities`."""
        tensors = {
            name.removeprefix(STORED).replace(":", "."): t for name, t in self._buffers.items() if _is_stored(name)
        }
        return Side({name: tensor for name, tensor in tensors.items() if tensor is not None}) if tensors else None

    def learn_entities(self, side: Side) -> None:
        """Take a sample of the entities, and count in how many there is each name; before mentions' sides are made."""
        rows = torch.arange(min(COHORT, side.rows)) * side.rows // max(1, min(COHORT, side.rows))
        for name in [name for name in self._buffers if _is_stored(name)]:
            delattr(self, name)
        for name, tensor in side.only(self.names).take(rows.to(side.device)).items():
            self.register_buffer(STORED + name.replace(".", ":"), tensor.detach().to(self.means.device, copy=True))
        self.entities.fill_(max(FEWEST, side.rows))
        if len(self.owners):
            self.owners.copy_(entities_with_bucket(side.part("lexical"), len(self.owners)))

    def learn_mentions(self, side: Side) -> None:
        """Take from the sides of mentions how large features are, and what unrelated pairs get."""
        features = self._features(side)
        self.centre.copy_(features.mean(dim=0))
        deviations = features.std(dim=0, correction=0)
        self.scale.copy_(torch.where(deviations > 0, deviations, 1.0))
        self.means.copy_(side["gate.means"].mean(dim=0))

    def mention_side(self, heads: Features, side: Side, lexical: Lexical | None) -> Side:
        """Tensors `shared` [m, 5], `spreads` and `means` [m, units] of mentions with this side."""
        whole, within = self._owners(heads, lexical)
        length = heads.text_mask.sum(dim=1) if heads.text_mask is not None else whole.new_full(whole.shape, 1)
        columns = [heads.has_image, length.log1p(), whole.log1p(), within.log1p(), whole == 1]
        means, spreads = self._of_cohort(side)
        return Side({"shared": torch.stack([c.float() for c in columns], dim=1), "spreads": spreads, "means": means})

    def mean(self, name: str) -> Tensor:
        """What unrelated pairs get of a unit, a scalar; of names 0."""
        return self.means[self.names.index(name)] if name in self.names else self.means.new_zeros(())

    def weights(self, mentions: Side, logs: Tensor, slopes: Tensor, cosine: Tensor) -> Tensor:
        """[m, units + 1], what each unit counts, and what names count times the `cosine` of theirs.

        Args:
            logs: [units + 1], of these weights for a mean mention.
            slopes: [units + 1, 6], of the shared features, and of the unit's own spread.
            cosine: What a cosine of names counts before, a scalar.
        """
        features = self._features(mentions)
        features = (features - self.centre.to(features.device)) / self.scale.to(features.device)
        shared, spreads = features[:, :SHARED], features[:, SHARED:]
        own = torch.cat([spreads, spreads.new_zeros(len(spreads), 1)], dim=1)
        weights = (logs + shared.to(slopes) @ slopes[:, :SHARED].t() + own.to(slopes) * slopes[:, SHARED]).exp()
        return torch.cat([weights[:, :-1], self._beyond_noise(mentions, weights, cosine)[:, None]], dim=1)

    def _beyond_noise(self, mentions: Side, weights: Tensor, cosine: Tensor) -> Tensor:
        """The weight of names [m], of which exact and unique ones are beyond noise."""
        names, units = weights[:, -1], weights[:, :-1] * mentions["gate.spreads"].to(weights)
        if not self.exact:
            return names
        luck = math.sqrt(2 * math.log(float(self.entities)))
        variance = units.div(len(self.names)).square().sum(dim=1)
        noise = luck * variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()
        unique = mentions["gate.shared"][:, -1] > 0
        return torch.where(unique, torch.maximum(names, noise / (self.exact * cosine)), names)

    def _features(self, mentions: Side) -> Tensor:
        """[m, 5 + units], not standardised yet."""
        smallest = torch.finfo(torch.float32).tiny
        return torch.cat([mentions["gate.shared"], mentions["gate.spreads"].clamp(min=smallest).log()], dim=1)

    def _of_cohort(self, side: Side) -> tuple[Tensor, Tensor]:
        """Means and deviations [m, units] of the scores of the cohort; 0 and 1 before there is one."""
        cohort, shape = self.cohort, (side.rows, len(self.names))
        if cohort is None or cohort.rows < FEWEST:
            return self.means.new_zeros(shape), self.means.new_ones(shape)
        scores = [self.score(name, side, cohort).float() for name in self.names]
        deviations = [scores_of.std(dim=1, correction=0) for scores_of in scores]
        return torch.stack([each.mean(dim=1) for each in scores], dim=1), torch.stack(deviations, dim=1)

    def _owners(self, heads: Features, lexical: Lexical | None) -> tuple[Tensor, Tensor]:
        """How many entities are called by the surface of each mention, and of how many it is words of a name, [m]."""
        if lexical is None:
            none = self.means.new_zeros(len(heads))
            return none, none
        whole, within = (owners_of(hashes.to(self.owners.device), self.owners) for hashes in lexical.name_hashes(heads))
        return whole, within

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        """The cohort's tensors are as long as its texts, and there are none before it is taken."""
        for name in [name for name in self._buffers if _is_stored(name)]:
            delattr(self, name)
        for name, tensor in state_dict.items():
            if name.startswith(prefix + STORED):
                self.register_buffer(name.removeprefix(prefix), torch.empty_like(tensor, device=self.means.device))
        super()._load_from_state_dict(state_dict, prefix, *arguments)  # type: ignore[no-untyped-call]


def _is_stored(name: str) -> bool:
    return name.startswith(STORED)
