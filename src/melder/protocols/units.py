"""The matching components of a method, and what the store is told of their tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from torch import Tensor

from melder.features import Alignment, Side

__all__ = ["Aligner", "Bounded", "Dense", "SideTensor", "Unit"]


@dataclass(frozen=True)
class SideTensor:
    """How the store may hold one of the tensors [n, …] of a unit's entity side.

    Args:
        tokens: The name of the mask [n, L] of the same side whose padding the second axis shares, so that what no
            entity of a segment has need not be stored; None: every element counts.
        weights: The name of the tensor [n, A, G] of the same side whose zeros are padding of this one; such tensors are
            stored without any padding.
        rounded: Whether int8 with one scale for each vector will do; otherwise float16 is the least.
        pictures: The name of the tensor [n, K] of the same side that is True where an entity has a further picture; of
            such tensors [n, K, …] as many rows are stored as there are pictures.
        share: The name of a tensor [n, L] that the store may add, saying what each token counts, which sums to 1; the
            unit allows that tokens [n, L, h] which are alike are stored as one. None: it needs each of them.
        logarithmic: Whether a byte a number will do, in which its logarithm stands: of numbers above 0, up to 2.
        whole: Whether the numbers are whole, from 0 up and below 2^24, so that three bytes hold them.
    """

    tokens: str | None = None
    weights: str | None = None
    rounded: bool = True
    pictures: str | None = None
    share: str | None = None
    logarithmic: bool = False
    whole: bool = False

    def of(self, unit: str) -> SideTensor:
        """The same of a matcher's side, where names have the unit's in front."""
        return self.renamed(f"{unit}.")

    def renamed(self, prefix: str) -> SideTensor:
        """The same with something in front of every name."""
        names = {field: getattr(self, field) for field in ("tokens", "weights", "pictures", "share")}
        return replace(self, **{field: prefix + name for field, name in names.items() if name is not None})


class Unit(Protocol):
    """One matching component of a method; an `nn.Module`, with a score for each pair.

    Attributes:
        entity_tensors: What an entity's side may hold, for the store; without vision some of it may be left out.
        has_vectors: The score, or a part of it, is an inner product: it is a `Dense` too.
        has_bounds: It says how much it can score at most: it is a `Bounded` too.
        aligns: It says which tokens it matched: it is an `Aligner` too.
        reads_pictures: What it compares depends on a picture: of several pictures each has a side, and the matcher
            combines their scores.
    """

    @property
    def entity_tensors(self) -> Mapping[str, SideTensor]: ...

    @property
    def has_vectors(self) -> bool: ...

    @property
    def has_bounds(self) -> bool: ...

    @property
    def aligns(self) -> bool: ...

    @property
    def reads_pictures(self) -> bool: ...

    def entity_side(self, heads: Any) -> Side:
        """Tensors whose first axis is the entity, of what the matcher's heads made."""
        ...

    def mention_side(self, heads: Any) -> Side:
        """Tensors whose first axis is the mention."""
        ...

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]"""
        ...


class Dense(Unit, Protocol):
    """A unit that hands out its vectors for a first stage."""

    def mention_vectors(self, side: Side) -> Tensor:
        """[mentions, d] of a mention side"""
        ...

    def entity_vectors(self, side: Side) -> Tensor:
        """[entities, d] of an entity side, in the score's own scale"""
        ...


class Bounded(Unit, Protocol):
    """A unit that says how much it can score at most, as an inner product: no pair's score is above that of these."""

    def mention_bounds(self, side: Side) -> Tensor:
        """[mentions, b] of a mention side"""
        ...

    def entity_bounds(self, side: Side) -> Tensor:
        """[entities, b] of an entity side, in the score's own scale"""
        ...


class Aligner(Unit, Protocol):
    """A unit that also says which tokens it matched, and of which modality they are."""

    modality: Literal["text", "image"]

    def align(self, mentions: Side, entities: Side) -> Alignment: ...
