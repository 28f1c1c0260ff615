"""An encoder is two towers: one for texts, and one for pictures or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from melder.data.pictures import Limits, UnreadablePicture, read_picture
from melder.encoders.throughput import Throughput
from melder.encoders.tokens import Tokens
from melder.encoders.window import TextRead, read_text_of
from melder.features import Features, Sizes
from melder.protocols import Inputs
from melder.records import Item

__all__ = ["Context", "ImageTower", "Options", "Settings", "TextTower", "Towers"]

Context = Literal["window", "beginning"]
Settings = dict[str, Any]  # what a tower writes into encoder.json
FORMAT = 1  # of encoder.json
Maybe = TypeVar("Maybe", Tensor, Tensor | None)
Distinct = TypeVar("Distinct")


@dataclass(frozen=True)
class Options:
    """What an encoder is built with.

    Args:
        text_length: tokens of a text that are read
        texts: that a tokenizer is trained on
        published: read as the published code does: texts are padded to `text_length`
        raw: a picture's vector is the one before CLIP's projection, not normalised
        width: first numbers of a sentence encoder's vector that are kept; None = all
        formats: of pictures that are decoded, as Pillow calls them; None = the usual
        pixels: of a picture that is decoded at most; None = the usual
    """

    text_length: int = 40
    texts: Iterable[str] = ()
    published: bool = False
    raw: bool = False
    width: int | None = None
    formats: tuple[str, ...] | None = None
    pixels: int | None = None


class TextTower(Protocol):
    """An `nn.Module`; `widths` are those of the global vector and of a token, `tokens` what cuts its texts."""

    widths: tuple[int, int]
    tokens: Tokens

    def prepare(self, texts: Sequence[str]) -> Inputs:
        """At least attention_mask [n, L], bool, with a True in every row."""
        ...

    def __call__(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The global vectors [n, g], L2-normalised, and the tokens [n, L, d]."""
        ...

    def save(self, directory: Path) -> Settings: ...


class ImageTower(Protocol):
    """An `nn.Module`; `widths` as above; `positions` is how many tokens a picture has; `blank` is what `read` gives for
    a picture that is not there."""

    widths: tuple[int, int]
    positions: int
    blank: Inputs

    def read(self, item: Item) -> Inputs:
        """The tensors of one item that has a picture, without a batch axis."""
        ...

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        """Decode a picture that will soon be read.

        Raises:
            UnreadablePicture: It is none, or is beyond limits.
        """
        ...

    def __call__(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The global vectors [n, g] and the tokens [n, P, d]; `inputs` has image_mask [n] too."""
        ...

    def save(self, directory: Path) -> Settings: ...


class Towers(nn.Module):
    """The encoder that a specification names; fulfils `melder.protocols.Encoder`.

    `on_unreadable` decides about a picture that cannot be decoded: None raises; a function is told, and the item then
    counts as having no picture. `throughput` counts what `encode` has encoded.

    Args:
        spec: its specification
        text: reads texts
        image: reads pictures; None = the encoder has no vision
        separator: between a name and a description, or a surface and its context
        context: what is read of a mention's text that is too long: the words around the mention (window), or its
            beginning
    """

    def __init__(
        self, spec: str, text: TextTower, image: ImageTower | None, separator: str, context: Context = "beginning"
    ) -> None:
        super().__init__()
        self.spec, self.separator, self.context = spec, separator, context
        self.text, self.image = text, image
        self.sizes = Sizes(*text.widths, *(image.widths if image is not None else (None, None)))
        self.on_unreadable: Callable[[Item, Exception], None] | None = None
        self.throughput = Throughput()

    def train(self, mode: bool = True) -> Towers:
        """Statistics of normalisation stay as they are, so that no item depends on its batch."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def prepare(self, items: Sequence[Item]) -> Inputs:
        """Tokenise the texts and decode the pictures of n items; raises `MelderError` for a bad picture."""
        inputs = self._texts([self.text_read(item) for item in items])
        return inputs if self.image is None else inputs | self._pictures(self.image, items)

    @property
    def read_picture(self) -> Callable[[Item], Inputs] | None:
        """What `prepare_distinct` reads a picture with, which any thread may do before; None without vision."""
        return None if self.image is None else self.image.read

    def prepare_distinct(self, items: Sequence[Item], read: Callable[[Item], Inputs] | None = None) -> Inputs:
        """As `prepare`, with each text and each picture once, however many items share it.

        text_rows and image_rows [n] say which text and which picture is whose; they are left out where none is shared.
        `read` gives pictures that were read before, as `read_picture` would.
        """
        every = [self.text_read(item) for item in items]
        texts, text_rows = _distinct(every, every)
        inputs = self._texts(texts) | _rows("text_rows", text_rows, len(texts))
        if self.image is None:
            return inputs
        pictures, image_rows = _distinct([(item.image, item.augment) for item in items], items)
        return inputs | self._pictures(self.image, pictures, read) | _rows("image_rows", image_rows, len(pictures))

    def text_read(self, item: Item) -> TextRead:
        """The text that the text tower is given for an item: after a prompt, and around its mention if it is long."""
        return read_text_of(item, self.text.tokens, around=self.context == "window")

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        """Decode a picture that will soon be read, so that a bad one is known early.

        Raises:
            UnreadablePicture: It is none, or is beyond the limits.
        """
        if self.image is None:
            read_picture(content, limits=limits)
        else:
            self.image.check(content, limits)

    def forward(self, inputs: Inputs) -> Features:
        """Features of n items, of inputs of either kind."""
        has_text = inputs["has_text"]
        text_global, text_tokens = self.text(inputs)
        image_global, image_tokens = self._seen(self.image, inputs) if self.image is not None else (None, None)
        texts, pictures = inputs.get("text_rows"), inputs.get("image_rows")
        return Features(
            text_global=_spread(text_global * has_text[:, None], texts),
            text_tokens=_spread(text_tokens, texts),
            image_global=_spread(image_global, pictures),
            image_tokens=_spread(image_tokens, pictures),
            text_mask=_spread(inputs["attention_mask"] & has_text[:, None], texts),
            image_mask=_spread(inputs.get("image_mask"), pictures),
        )

    def save(self, directory: Path) -> None:
        """Write encoder.json, the configurations and the tokenizer; the weights are the caller's to write."""
        directory.mkdir(parents=True, exist_ok=True)
        content: Settings = {"format": FORMAT, "spec": self.spec, "separator": self.separator}
        content |= {"separator_stands_alone": True} if getattr(self.separator, "stands_alone", False) else {}
        content |= {} if self.context == "beginning" else {"context": self.context}
        content["text"] = self.text.save(directory / "text")
        content["image"] = None if self.image is None else self.image.save(directory / "image")
        (directory / "encoder.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _seen(self, tower: ImageTower, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What the tower makes of pictures; zeros where there is none, without asking it when there is none at all.

        In training it is always asked, since every process must have a gradient of every parameter; and in published
        mode, whose units read what it makes of a missing picture.
        """
        there = inputs["image_mask"]
        if torch.is_grad_enabled() or self.text.tokens.fixed:
            return tower(inputs)
        if not there.any():
            (vector, token), count, device = tower.widths, len(there), there.device
            return torch.zeros(count, vector, device=device), torch.zeros(count, tower.positions, token, device=device)
        vectors, tokens = tower(inputs)
        return vectors * there[:, None], tokens * there[:, None, None]

    def _texts(self, texts: Sequence[TextRead]) -> Inputs:
        inputs = self.text.prepare([read.text for read in texts])
        inputs["has_text"] = torch.tensor([bool(read.text.strip()) for read in texts])
        return inputs

    def _pictures(
        self, tower: ImageTower, items: Sequence[Item], read: Callable[[Item], Inputs] | None = None
    ) -> Inputs:
        rows = [self._picture(read or tower.read, item) for item in items]
        stacked = {
            name: torch.stack([blank if row is None else row[name] for row in rows])
            for name, blank in tower.blank.items()
        }
        return stacked | {"image_mask": torch.tensor([row is not None for row in rows])}

    def _picture(self, read: Callable[[Item], Inputs], item: Item) -> Inputs | None:
        if item.image is None:
            return None
        try:
            return read(item)
        except UnreadablePicture as error:
            if self.on_unreadable is None:
                raise
            self.on_unreadable(item, error)
            return None


def _distinct(keys: Sequence[Hashable], items: Sequence[Distinct]) -> tuple[list[Distinct], list[int]]:
    """The first item of each key, and for each item the place of its key's."""
    place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    first = dict(zip(reversed(keys), reversed(items), strict=True))
    return [first[key] for key in place], [place[key] for key in keys]


def _rows(name: str, rows: Sequence[int], distinct: int) -> Inputs:
    return {name: torch.tensor(rows)} if distinct < len(rows) else {}


def _spread(tensor: Maybe, rows: Tensor | None) -> Maybe:
    """Rows of distinct things as rows of items."""
    return tensor if tensor is None or rows is None else tensor[rows]
