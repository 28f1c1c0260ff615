"""Any text model beside any vision model of transformers, each a tower of its own.

The two share no space until a method's heads give them one. Text is pooled as the model says it was trained
to be (sentence-transformers' `1_Pooling`), by the mean over its tokens otherwise. Only safetensors weights are
read, and no code that comes with a model is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoImageProcessor, AutoModel
from transformers.utils import cached_file

from melder.data.pictures import Limits
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.pooling import POOLINGS, read_pooling
from melder.encoders.sources import ModelSource, reading
from melder.encoders.tokens import Tokens, read_tokenizer
from melder.encoders.towers import Options, Settings
from melder.protocols import Inputs
from melder.records import Item

__all__ = ["PretrainedPictures", "PretrainedText", "read_pictures", "read_text"]

Model = Any  # transformers ships no types


class PretrainedText(nn.Module):
    """A text model and its pooling; both widths are the model's."""

    def __init__(self, model: Model, pooling: str, tokens: Tokens) -> None:
        super().__init__()
        self.model, self.pooling, self.tokens = model, pooling, tokens
        self.widths = (model.config.hidden_size, model.config.hidden_size)

    def prepare(self, texts: Sequence[str]) -> Inputs:
        return self.tokens(texts)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        mask = inputs["attention_mask"]
        states = self.model(input_ids=inputs["input_ids"], attention_mask=mask.long()).last_hidden_state
        return normalize(POOLINGS[self.pooling](states, mask), dim=-1), states

    def save(self, directory: Path) -> Settings:
        self.model.config.save_pretrained(directory)
        return {"kind": "pretrained", "pooling": self.pooling, **self.tokens.save(directory)}

    @staticmethod
    def load(directory: Path, settings: Settings) -> PretrainedText:
        model = _text_part(_empty(directory))
        return PretrainedText(model, settings["pooling"], Tokens.load(directory, settings))


class PretrainedPictures(nn.Module):
    """A vision model; the global vector is its pooled output or, where it has none, the first (class) token.

    Feature maps become tokens, position by position; without a pooled output their mean is the global vector.
    """

    def __init__(self, model: Model, pixels: Pixels, *, raw: bool = False) -> None:
        super().__init__()
        self.model, self.pixels, self.blank, self.raw = model, pixels, pixels.blank, raw
        size = pixels.form.size
        with torch.no_grad():
            pooled, tokens = self._features(torch.zeros(1, 3, size, size))
        self.widths, self.positions = (pooled.shape[-1], tokens.shape[-1]), tokens.shape[1]

    def read(self, item: Item) -> Inputs:
        return self.pixels.read(item)

    def check(self, content: bytes, limits: Limits) -> None:
        self.pixels.check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        pooled, tokens = self._features(self.pixels(inputs))
        return pooled if self.raw else normalize(pooled, dim=-1), tokens

    def save(self, directory: Path) -> Settings:
        self.model.config.save_pretrained(directory)
        pooler = getattr(self.model, "pooler", None) is not None
        return {"kind": "pretrained", "pooler": pooler, "pixels": self.pixels.form.to_json(), "raw": self.raw}

    @staticmethod
    def load(directory: Path, settings: Settings) -> PretrainedPictures:
        model = _vision_part(_empty(directory), pooler=settings["pooler"])
        pixels = Pixels(PixelFormat.from_json(settings["pixels"]))
        return PretrainedPictures(model, pixels, raw=settings.get("raw", False))

    def _features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(pixel_values=pixels)
        states, pooled = out.last_hidden_state, getattr(out, "pooler_output", None)
        is_map = states.dim() == 4
        tokens = states.flatten(2).transpose(1, 2) if is_map else states
        if pooled is None:
            pooled = tokens.mean(dim=1) if is_map else tokens[:, 0]
        return pooled.flatten(1), tokens


def read_text(source: ModelSource, options: Options) -> PretrainedText:
    """The text tower of a source, with its weights."""
    model, _ = _weights(source)
    with reading(source):
        pooling = cached_file(
            source.name,
            "1_Pooling/config.json",
            local_files_only=source.local,
            _raise_exceptions_for_missing_entries=False,
        )
    positions = getattr(model.config, "max_position_embeddings", None)
    tokens = Tokens(read_tokenizer(source), options.text_length, fixed=options.published, positions=positions)
    return PretrainedText(_text_part(model), read_pooling(pooling), tokens)


def read_pictures(source: ModelSource, options: Options) -> PretrainedPictures:
    """The picture tower of a source, with its weights."""
    model, missing = _weights(source)
    with reading(source):
        processor = AutoImageProcessor.from_pretrained(source.name, local_files_only=source.local, backend="pil")
    # A checkpoint trained with another head leaves the pooler random: worse than no pooler at all.
    model = _vision_part(model, pooler=not any("pooler." in name for name in missing))
    return PretrainedPictures(model, Pixels(PixelFormat.of(processor, source)), raw=options.raw)


def _weights(source: ModelSource) -> tuple[Model, set[str]]:
    """The model, and the names of the parameters that its files do not hold."""
    with reading(source):
        model, report = AutoModel.from_pretrained(
            source.name,
            local_files_only=source.local,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    return model, set(report["missing_keys"])


def _empty(directory: Path) -> Model:
    """The model that a saved configuration describes, with random weights."""
    with reading(ModelSource(str(directory), local=True)):
        config = AutoConfig.from_pretrained(directory, local_files_only=True)
        return AutoModel.from_config(config, dtype=torch.float32)


def _text_part(model: Model) -> Model:
    """The text half of a joint model, the encoder of an encoder-decoder; without a pooler, which pooling replaces."""
    part: Model = getattr(model, "text_model", model)
    return _without_pooler(part.get_encoder() if part.config.is_encoder_decoder else part)


def _vision_part(model: Model, *, pooler: bool) -> Model:
    part = getattr(model, "vision_model", model)
    return part if pooler else _without_pooler(part)


def _without_pooler(model: Model) -> Model:
    """An unused pooler's parameters would never get a gradient."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model
