"""The shapes that parts of Melder must have to fit together; nothing here does any work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from melder.features import Alignment, Features, Heads, Scores, Side, Sizes
from melder.records import Item, Link, Mention, Ranks

__all__ = ["Aligner", "Bounded", "Counting", "Dense", "Encoder", "Inputs", "Linker", "Matcher", "Progress", "Unit"]

Progress = Callable[[int], None]  # told how many more items are done
Counting = Callable[[str, int], Progress]  # starts a progress bar, given a title and a total
Inputs = dict[str, Tensor]  # what an encoder's forward reads: tensors whose first axis is the item


@runtime_checkable
class Encoder(Protocol):
    """Turns items into features; an `nn.Module` whose work on the CPU and on the device are apart.

    `separator` stands between the name and the description (or the surface and the context) of an item's text.
    """

    sizes: Sizes
    separator: str

    def prepare(self, items: Sequence[Item]) -> Inputs:
        """Tokenise the texts and decode the pictures; safe to call in a worker process."""
        ...

    def __call__(self, inputs: Inputs) -> Features:
        """Features without `surfaces`; rows without text have an empty mask, rows without a picture a False."""
        ...

    def save(self, directory: Path) -> None:
        """Write all that `load_encoder` needs, save for the weights, which are in the module's state dict."""
        ...


class Unit(Protocol):
    """One component of a method: a score for each pair of a mention and an entity."""

    def entity_side(self, heads: Heads) -> Side: ...

    def mention_side(self, heads: Heads) -> Side: ...

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]"""
        ...


@runtime_checkable
class Dense(Protocol):
    """A unit whose score, or a part of it, is an inner product: it hands out its vectors for a first stage."""

    def mention_vectors(self, side: Side) -> Tensor:
        """[mentions, d] of a mention side"""
        ...

    def entity_vectors(self, side: Side) -> Tensor:
        """[entities, d] of an entity side, in the score's own scale"""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A unit that says how much it can score at most, as an inner product: no pair's score is above that of these."""

    def mention_bounds(self, side: Side) -> Tensor:
        """[mentions, b] of a mention side"""
        ...

    def entity_bounds(self, side: Side) -> Tensor:
        """[entities, b] of an entity side, in the score's own scale"""
        ...


@runtime_checkable
class Aligner(Protocol):
    """A unit that also says which tokens it matched, and of which modality they are."""

    modality: Literal["text", "image"]

    def align(self, mentions: Side, entities: Side) -> Alignment: ...


class Matcher(Protocol):
    """The heads and units of a method, and how their scores combine."""

    def mention_side(self, features: Features) -> Side: ...

    def entity_side(self, features: Features) -> Side: ...

    def score(self, mentions: Side, entities: Side) -> Scores: ...

    def losses(self, batch: object, scores: Scores) -> Mapping[str, Tensor]: ...


class Linker(Protocol):
    """Takes mentions, returns ranked candidates; evaluation and serving know nothing else."""

    def link(self, mentions: Sequence[Mention], k: int = 10) -> list[Link]: ...

    def ranks(self, mentions: Iterable[Mention]) -> Ranks: ...
