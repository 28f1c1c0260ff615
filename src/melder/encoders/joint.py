"""`joint:`: the two towers of any model of transformers that puts texts and pictures into one space.

Global vectors are the model's own `get_text_features` and `get_image_features`, of length 1; tokens are the last hidden
states beside them. So pooling, projections and what the model reads of padding are the model's, whatever it is: nothing
here knows an architecture, save which ones were trained to read their padding. A scale or a bias of the similarity
(SigLIP's) is left out: it changes no order, and what a method makes of cosines it learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoModel

from melder.data.pictures import Limits
from melder.encoders.parts import share_weights, unused_parts, without_parts
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.pretrained import new_model, read_config, read_model, read_processor, read_tokenizer
from melder.encoders.sources import ModelSource, reading
from melder.encoders.tokens import Tokens
from melder.encoders.towers import Options, Settings
from melder.encoders.trial import check_pictures, settle_padding
from melder.encoders.weights import check_weights
from melder.protocols import Inputs
from melder.records import Item, MelderError

__all__ = ["JointPictures", "JointText", "is_joint", "joint_text", "read_joint"]

PADDED = ("siglip", "siglip2")  # model types that were trained to read the padding of a text, to their last position
Model = Any  # transformers ships no types


class JointText(nn.Module):
    """The text half of a joint model.

    Args:
        model: it, without the parts that only its pictures need
        tokens: what cuts its texts
        without: names of the parts that were left out
        masked: whether the model is told which tokens are padding
        left: whether it was trained with its padding on the left
        width: so many first numbers of the global vector are used; None = all
    """

    def __init__(
        self,
        model: Model,
        tokens: Tokens,
        without: Sequence[str],
        *,
        masked: bool = True,
        left: bool = False,
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.model, self.tokens, self.without = model, tokens, list(without)
        self.masked, self.left, self.width = masked, left, width
        with torch.no_grad():
            vector, states = self(tokens(["."]))
        self.widths = (vector.shape[-1], states.shape[-1])

    def prepare(self, texts: Sequence[str]) -> Inputs:
        return self.tokens(texts)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        return self.features(self.model, inputs)

    def features(self, model: Model, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What the tower would give if `model` were its model."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        places = _padded_left(mask) if self.left else None
        if places is not None:
            ids, mask = ids.gather(1, places), mask.gather(1, places)
        out = model.get_text_features(input_ids=ids, **({"attention_mask": mask.long()} if self.masked else {}))
        states = out.last_hidden_state
        if places is not None:
            states = states.gather(1, places.argsort(dim=1)[..., None].expand_as(states))
        return normalize(out.pooler_output[:, : self.width], dim=-1), states

    def save(self, directory: Path) -> Settings:
        self.model.config.save_pretrained(directory)
        settings = {"kind": "joint", "without": self.without, "masked": self.masked, "left": self.left}
        return {**settings, "width": self.width, **self.tokens.save(directory)}

    @staticmethod
    def load(directory: Path, settings: Settings) -> JointText:
        options = {name: settings[name] for name in ("masked", "left", "width")}
        model = without_parts(_empty(directory), settings["without"])
        return JointText(model, Tokens.load(directory, settings), settings["without"], **options)


class JointPictures(nn.Module):
    """The picture half of a joint model.

    Args:
        model: of transformers, with `get_image_features`
        pixels: makes its input of pictures
        without: its parts that pictures do not need, by their names
        width: first numbers of the vector that are kept; None = all
    """

    def __init__(self, model: Model, pixels: Pixels, without: Sequence[str], *, width: int | None = None) -> None:
        super().__init__()
        self.model, self.pixels, self.without, self.width = model, pixels, list(without), width
        self.blank = pixels.blank
        with torch.no_grad():
            vector, states = self(pixels.example)
        self.widths, self.positions = (vector.shape[-1], states.shape[-1]), states.shape[1]

    def read(self, item: Item) -> Inputs:
        return self.pixels.read(item)

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        self.pixels.check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        return self.features(self.model, inputs)

    def features(self, model: Model, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What the tower would give if `model` were its model."""
        out = model.get_image_features(**self.pixels.model_inputs(inputs))
        states = out.last_hidden_state
        states = states.flatten(2).transpose(1, 2) if states.dim() == 4 else states
        return normalize(out.pooler_output.flatten(1)[:, : self.width], dim=-1), states

    def save(self, directory: Path) -> Settings:
        self.model.config.save_pretrained(directory)
        pixels = self.pixels.form.to_json()
        return {"kind": "joint", "without": self.without, "width": self.width, "pixels": pixels}

    @staticmethod
    def load(directory: Path, settings: Settings) -> JointPictures:
        pixels = Pixels(PixelFormat.from_json(settings["pixels"]))
        model = without_parts(_empty(directory), settings["without"])
        return JointPictures(model, pixels, settings["without"], width=settings["width"])


def is_joint(model: Model) -> bool:
    """Whether a model of transformers gives features of texts and of pictures, in one space.

    Args:
        model: of transformers

    Returns:
        whether `read_joint` can read it
    """
    return hasattr(model, "get_text_features") and hasattr(model, "get_image_features")


def read_joint(source: ModelSource, options: Options) -> tuple[JointText, JointPictures]:
    """Both towers of a published joint model, with its weights.

    Args:
        source: where the model is
        options: of the encoder

    Returns:
        in evaluation mode

    Raises:
        MelderError: It is no joint model, or vectors before its projection are asked for.
    """
    if options.raw:
        raise MelderError(
            f"model '{source.name}': a vector before the projection (encoder.pooled: raw) is CLIP's only; leave it out"
        )
    model, report = read_model(AutoModel, source)
    if not is_joint(model):
        raise MelderError(
            f"model '{source.name}' is of the type {model.config.model_type}, which has no features of texts and "
            f"pictures in one space; for its text write paired:{source.name}+none"
        )
    text = joint_text(source, model, options)
    with _halving(source, "picture"):
        pixels = Pixels(PixelFormat.of(read_processor(source), source).read_for(options))
        pictures = JointPictures(model, pixels, (), width=options.width)
        without = unused_parts(model, lambda part: pictures.features(part, pixels.example))
        half = without_parts(model, without)
        half = deepcopy(half) if share_weights(half, text.model) else half  # so that each can be saved by itself
        pictures = JointPictures(half, pixels, without, width=options.width)
    check_weights(source, model, (text.model, pictures.model), report)
    settle_padding(source, text)
    check_pictures(source, pictures, pixels)
    return text, pictures


def joint_text(source: ModelSource, model: Model, options: Options) -> JointText:
    """The text tower of a joint model that was read from `source`.

    Args:
        source: where the model was read from, for messages and for its tokenizer
        model: of which the tower takes the parts that it needs
        options: of the encoder

    Returns:
        the tower

    Raises:
        MelderError: Its text cannot be computed.
    """
    with _halving(source, "text"):
        tokenizer = read_tokenizer(source)
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        padded = positions if model.config.model_type in PADDED else None
        left = padded is not None and tokenizer.padding_side == "left"
        tokens = Tokens(tokenizer, options.text_length, fixed=options.published, positions=positions, padded=padded)
        masked = "attention_mask" in tokenizer.model_input_names
        settings: dict[str, Any] = {"masked": masked, "left": left, "width": options.width}
        whole = JointText(model, tokens, (), **settings)
        without = unused_parts(model, lambda part: whole.features(part, tokens(["."])))
        return JointText(without_parts(model, without), tokens, without, **settings)


def _halving(source: ModelSource, half: str) -> Any:
    return reading(source, f"its {half} half cannot be computed")


def _padded_left(mask: Tensor) -> Tensor:
    """[n, L]: from which place of a text that is padded on the right each place of one padded on the left comes."""
    length = mask.shape[1]
    return (torch.arange(length, device=mask.device) + mask.sum(dim=1, keepdim=True)) % length


def _empty(directory: Path) -> Model:
    source = ModelSource(str(directory), local=True)
    return new_model(AutoModel, read_config(source), source)
