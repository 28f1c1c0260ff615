"""The shapes that parts of Melder must have to fit together; nothing here does any work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel
from torch import Tensor

from melder.features import Alignment, Features, Side, Sizes
from melder.records import Entity, Item, Mention

__all__ = ["Aligner", "Bounded", "Counting", "Dense", "Encoder", "Inputs", "Method", "Precision", "Progress", "Reader"]

Progress = Callable[[int], None]  # told how many more items are done
Counting = Callable[[str, int], Progress]  # starts a progress bar, given a title and a total
Precision = Literal["float32", "bf16"]  # what something is computed in; weights and results stay in float32
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


class Method(Protocol):
    """A published way to link: its settings, its matcher, and what it can do.

    compares: it scores entities by features of them, so that these can be stored, searched and calibrated; a method
        that does not registers its own storage, training and linker (docs/extending.md)
    trains_encoder, samples_negatives, trains_in_processes: what its training can be asked for
    """

    @property
    def configuration(self) -> type[BaseModel]: ...

    @property
    def compares(self) -> bool: ...

    @property
    def trains_encoder(self) -> bool: ...

    @property
    def samples_negatives(self) -> bool: ...

    @property
    def trains_in_processes(self) -> bool: ...

    def build(self, configuration: BaseModel, sizes: Sizes) -> Any:
        """The matcher that a configuration describes, for an encoder of these sizes.

        Raises:
            MelderError: The method does not compare.
        """
        ...


class Reader(Protocol):
    """A directory whose files somebody else named: where they are, and how their records are read.

    Readers note what is not a record in `problems` (`melder.io.problems.Problems`) and yield the rest with their
    numbers in the file. `entities` is called before anything else is asked for.

    name: of the layout
    notes: what a user should know of the reading, one sentence a note
    field_names: what the file calls a field ("entity.images" → "image_list") where the names differ
    feature_keys: for each name of a picture the key of its features in the file that comes with the layout; None for
        layouts without such a file
    """

    entity_file: Path
    entity_pictures: Path
    mention_pictures: Path
    name: str
    notes: tuple[str, ...]

    @property
    def field_names(self) -> Mapping[str, str]: ...

    @property
    def feature_keys(self) -> Mapping[str, str] | None: ...

    def entities(self, problems: Any) -> Iterator[tuple[int, Entity]]: ...

    def split_file(self, split: str) -> Path | None:
        """The file of the mentions of train, dev or test; None when there is none."""
        ...

    def mentions(self, split: str, path: Path, problems: Any) -> Iterator[tuple[int, Mention]]: ...
