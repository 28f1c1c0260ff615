"""The tensors that travel between the parts of Melder: features, sides, scores, alignments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar, cast

import torch
from torch import Tensor

from melder.further_pictures import FurtherPictures
from melder.padding import pad_and_stack

__all__ = ["Alignment", "Features", "Heads", "Rows", "Scores", "Side", "Sizes", "concatenate"]

Rows = slice | Tensor  # what selects mentions or entities: a slice, or a tensor of indices


@dataclass(frozen=True)
class Sizes:
    """Widths of an encoder's features; the image widths are None when it has no vision.

    Args:
        text_global: Of a text's vector.
        text_tokens: Of the vector of one of its tokens.
        image_global: Of a picture's vector.
        image_tokens: Of the vector of one of its patches.
    """

    text_global: int
    text_tokens: int
    image_global: int | None = None
    image_tokens: int | None = None


@dataclass
class Features:
    """Features of n mentions or n entities, straight from an encoder.

    Args:
        text_global: [n, g_t], L-2 normalised where the encoder projects.
        text_tokens: [n, L, d_t].
        image_global: [n, g_v], as `text_global`; None = no vision.
        image_tokens: [n, P, d_v].
        text_mask: [n, L], True = valid token; None = all valid. A row without any valid token has no text.
        image_mask: [n], True = has a picture; None = all have one (none has, when image_global is None).
        surfaces: A mention's surface, or an entity's name and aliases; None where names are not to be compared.
        further: Of the pictures behind the first, which the tensors above are of; None = no item has any.
    """

    text_global: Tensor
    text_tokens: Tensor
    image_global: Tensor | None = None
    image_tokens: Tensor | None = None
    text_mask: Tensor | None = None
    image_mask: Tensor | None = None
    surfaces: Sequence[tuple[str, ...]] | None = None
    further: FurtherPictures | None = None

    def __len__(self) -> int:
        return len(self.text_global)

    def __getitem__(self, rows: Rows) -> Features:
        tensors = {name: tensor[rows] for name, tensor in self.tensors().items()}
        further = None if self.further is None else self.further[rows]
        return replace(self, **tensors, surfaces=_pick(self.surfaces, rows), further=further)  # type: ignore[arg-type]

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that are present, by field name."""
        values = {attribute.name: getattr(self, attribute.name) for attribute in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def to(self, *arguments: object, **options: object) -> Features:
        """The same features on another device or, for floating-point tensors, in another type."""
        return self.mapped(lambda tensor: _move(tensor, *arguments, **options))

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Features:
        """The same with every tensor changed, such as moved to another device."""
        changed = {name: change(tensor) for name, tensor in self.tensors().items()}
        further = self.further and self.further.mapped(change)
        return replace(self, **changed, further=further)  # type: ignore[arg-type]

    @property
    def has_text(self) -> Tensor:
        """[n], True where there is at least one valid text token."""
        if self.text_mask is None:
            return torch.ones(len(self), dtype=torch.bool, device=self.text_global.device)
        return self.text_mask.any(dim=1)

    @property
    def has_image(self) -> Tensor:
        """[n], True where there is a picture."""
        if self.image_global is None:
            return torch.zeros(len(self), dtype=torch.bool, device=self.text_global.device)
        if self.image_mask is None:
            return torch.ones(len(self), dtype=torch.bool, device=self.text_global.device)
        return self.image_mask

    def trimmed(self) -> Features:
        """The same features less the padding beyond the longest text."""
        if self.text_mask is None:
            return self
        longest = max(1, int(self.text_mask.sum(dim=1).max()))
        return replace(self, text_tokens=self.text_tokens[:, :longest], text_mask=self.text_mask[:, :longest])

    def without(self, *, text: Tensor | None = None, image: Tensor | None = None) -> Features:
        """The same features without the text (surfaces too) or the picture of the rows that are True, [n]."""
        dropped = self
        if text is not None:
            shape = self.text_tokens.shape[:2]
            mask = self.text_mask if self.text_mask is not None else text.new_ones(shape, dtype=torch.bool)
            surfaces = self.surfaces
            if surfaces is not None:
                surfaces = [() if gone else row for gone, row in zip(text.tolist(), surfaces, strict=True)]
            dropped = replace(dropped, text_mask=mask & ~text[:, None], surfaces=surfaces)
        if image is not None and self.image_global is not None:
            further = None if self.further is None else self.further.without(image)
            dropped = replace(dropped, image_mask=self.has_image & ~image, further=further)
        return dropped

    def further_views(self) -> Features | None:
        """Each further picture [x] with the text of its item, without surfaces; None where there is none."""
        if self.further is None or not len(self.further.image_mask):
            return None
        text = replace(self, image_global=None, image_tokens=None, image_mask=None, surfaces=None, further=None)
        pictures = {name: getattr(self.further, name) for name in ("image_global", "image_tokens", "image_mask")}
        return replace(text[self.further.owners], **pictures)


@dataclass
class Heads(Features):
    """What a matcher's heads made of features: the tensors after the shared LayerNorms, which every unit reads.

    Args:
        raw: The same features after the linear heads but before the LayerNorms; losses on embeddings read it.
        encoded: The same features as the encoder made them, before any head.
        fused: Vectors [n, h] of the cross-modal blocks, by name; they are meaningful where text and picture are there.
    """

    raw: Features | None = None
    encoded: Features | None = None
    fused: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def has_both(self) -> Tensor:
        """[n], True where there are a text and a picture."""
        return self.has_text & self.has_image


class Side(Mapping[str, Tensor]):
    """A named bundle of tensors that share their first axis (mentions, or entities).

    `side.take(slice(2, 5))` takes rows of every tensor; a name (`side["text.query"]`) gives one tensor;
    `side.part("text")` gives the bundle of the tensors whose names start with `text.`.

    Args:
        tensors: By their names, such as `text.query`.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        """The number of tensors; `rows` is the number of mentions or entities."""
        return len(self._tensors)

    @property
    def rows(self) -> int:
        return len(next(iter(self._tensors.values())))

    @property
    def device(self) -> torch.device:
        return next(iter(self._tensors.values())).device

    def take(self, rows: Rows) -> Side:
        """The same bundle for some of the rows."""
        return Side({name: tensor[rows] for name, tensor in self._tensors.items()})

    def part(self, prefix: str) -> Side:
        """The tensors whose names start with `prefix` and a dot, under the rest of their names."""
        start = prefix + "."
        length = len(start)
        return Side({name[length:]: tensor for name, tensor in self._tensors.items() if name.startswith(start)})

    def only(self, prefixes: Collection[str]) -> Side:
        """The tensors whose names start with any of the prefixes and a dot."""
        return Side({name: tensor for name, tensor in self.items() if name.partition(".")[0] in prefixes})

    def to(self, *arguments: object, **options: object) -> Side:
        return Side({name: _move(tensor, *arguments, **options) for name, tensor in self.items()})

    @staticmethod
    def join(parts: Mapping[str, Side]) -> Side:
        """One bundle out of several: the inverse of `part`."""
        return Side({f"{prefix}.{name}": t for prefix, side in parts.items() for name, t in side.items()})


@dataclass
class Alignment:
    """A unit's soft assignment between tokens: weights and logits, both [mentions, entities, L_e, L_m].

    Args:
        weights: Attention, or a transport plan.
        logits: What they were made of.
    """

    weights: Tensor
    logits: Tensor


@dataclass
class Scores:
    """total [mentions, entities], and in `parts` each unit's score [mentions, entities], in the order of the method.

    Args:
        total: What mentions and entities are ranked by.
        parts: Unit by unit, before the mean.
        weights: [mentions, 1], by unit: how much it counts for each mention, where that is not the same for all.
    """

    total: Tensor
    parts: dict[str, Tensor]
    weights: dict[str, Tensor] | None = None

    def cpu(self) -> Scores:
        """Copies that hold no graph, on the CPU."""
        weights = self.weights and {name: weight.detach().cpu() for name, weight in self.weights.items()}
        parts = {name: scores.detach().cpu() for name, scores in self.parts.items()}
        return Scores(self.total.detach().cpu(), parts, weights)

    def take(self, rows: Tensor) -> Scores:
        """Those of some entities, in their order."""
        parts = {name: part[:, rows] for name, part in self.parts.items()}
        return Scores(self.total[:, rows], parts, self.weights)


Bundle = TypeVar("Bundle", Features, Side)


def concatenate(bundles: Sequence[Bundle]) -> Bundle:
    """Rows of several bundles, one after the other; axes of tokens and of pictures are padded to the longest.

    Args:
        bundles: At least one, all of features or all of sides.

    Returns:
        One bundle of all rows.
    """
    first = bundles[0]
    if len(bundles) == 1:
        return first
    if isinstance(first, Side):
        names = dict.fromkeys(name for bundle in bundles for name in bundle)
        return Side({name: pad_and_stack(_everywhere(name, bundles)) for name in names})
    masked = [_with_masks(bundle) for bundle in bundles]
    tensors = {name: pad_and_stack([bundle.tensors()[name] for bundle in masked]) for name in masked[0].tensors()}
    surfaces = None if first.surfaces is None else [row for bundle in bundles for row in bundle.surfaces or ()]
    further = FurtherPictures.joined([bundle.further for bundle in bundles], [len(bundle) for bundle in bundles])
    return replace(first, **tensors, surfaces=surfaces, further=further)


def _everywhere(name: str, sides: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
    """A tensor of several sides; one that lacks it, since none of its rows has a further picture, has no places."""
    present = next(side[name] for side in sides if name in side)
    return [
        side[name] if name in side else present.new_zeros(len(next(iter(side.values()))), *[0] * (present.dim() - 1))
        for side in sides
    ]


def _with_masks(features: Features) -> Features:
    shape = features.text_tokens.shape[:2]
    mask = features.text_mask
    if mask is None:
        mask = features.text_tokens.new_ones(shape, dtype=torch.bool)
    image_mask = None if features.image_global is None else features.has_image
    return replace(features, text_mask=mask, image_mask=image_mask)


def _move(tensor: Tensor, *arguments: object, **options: object) -> Tensor:
    applicable = [value for value in arguments if tensor.is_floating_point() or not isinstance(value, torch.dtype)]
    if not tensor.is_floating_point():
        options = {name: value for name, value in options.items() if name != "dtype"}
    return tensor.to(*applicable, **options) if applicable or options else tensor  # type: ignore[call-overload, no-any-return]


def _pick(values: Sequence[tuple[str, ...]] | None, rows: Rows) -> Sequence[tuple[str, ...]] | None:
    if values is None or isinstance(rows, slice):
        return None if values is None else values[cast(slice, rows)]
    index = rows.nonzero().flatten() if rows.dtype == torch.bool else rows
    return [values[i] for i in index.tolist()]
