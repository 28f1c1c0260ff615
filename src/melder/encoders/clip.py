"""CLIP's two towers: MIMIC, M3EL and OT-MEL fine-tune them; a small one can be trained from scratch.

Global vectors are the projected and L2-normalised pooled states; text is pooled at the end-of-text token (the
first one, as the models' configuration has it). Text tokens are the last hidden states after the final
LayerNorm; picture tokens are the last hidden states before the post-LayerNorm, class token first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

from melder.data.pictures import Limits
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.pretrained import read_config, read_model, read_processor, read_tokenizer
from melder.encoders.sources import ModelSource
from melder.encoders.tokens import Tokens
from melder.encoders.towers import Options, Settings
from melder.encoders.weights import check_weights
from melder.protocols import Inputs
from melder.records import Item, MelderError

__all__ = ["ClipPictures", "ClipText", "read_clip"]


class ClipText(nn.Module):
    """CLIP's text tower; widths: the projection's, the model's.

    Args:
        model: transformers' CLIPTextModel.
        projection: Into the space that texts and pictures share.
        tokens: Makes the model's input of texts.
    """

    def __init__(self, model: nn.Module, projection: nn.Linear, tokens: Tokens) -> None:
        super().__init__()
        self.model, self.projection, self.tokens = model, projection, tokens
        self.widths = (projection.out_features, projection.in_features)

    def prepare(self, texts: Sequence[str]) -> Inputs:
        return self.tokens(texts)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        out = self.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"].long())
        return normalize(self.projection(out.pooler_output), dim=-1), out.last_hidden_state

    def save(self, directory: Path) -> Settings:
        self.model.config.save_pretrained(directory)  # type: ignore[union-attr, operator]
        return {"kind": "clip", "projection": self.widths[0], **self.tokens.save(directory)}

    @staticmethod
    def load(directory: Path, settings: Settings) -> ClipText:
        config = read_config(ModelSource(str(directory), local=True), CLIPTextConfig)
        return new_text(config, settings["projection"], Tokens.load(directory, settings))


class ClipPictures(nn.Module):
    """CLIP's picture tower; widths: the projection's (`raw`: the model's, the vector before it), the model's.

    Args:
        model: transformers' CLIPVisionModel.
        projection: Into the space that texts and pictures share.
        pixels: Makes the model's input of pictures.
        raw: The global vector is the one before the projection, not normalised.
    """

    def __init__(self, model: nn.Module, projection: nn.Linear, pixels: Pixels, *, raw: bool = False) -> None:
        super().__init__()
        self.model, self.projection, self.pixels, self.raw = model, projection, pixels, raw
        self.blank = pixels.blank
        self.widths = (projection.in_features if raw else projection.out_features, projection.in_features)
        config: Any = model.config
        self.positions = 1 + (config.image_size // config.patch_size) ** 2

    def read(self, item: Item) -> Inputs:
        return self.pixels.read(item)

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        self.pixels.check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        out = self.model(pixel_values=self.pixels(inputs))
        pooled = out.pooler_output if self.raw else normalize(self.projection(out.pooler_output), dim=-1)
        return pooled, out.last_hidden_state

    def save(self, directory: Path) -> Settings:
        self.model.config.save_pretrained(directory)  # type: ignore[union-attr, operator]
        size, pixels = self.projection.out_features, self.pixels.form.to_json()
        return {"kind": "clip", "projection": size, "pixels": pixels, "raw": self.raw}

    @staticmethod
    def load(directory: Path, settings: Settings) -> ClipPictures:
        model = CLIPVisionModel(read_config(ModelSource(str(directory), local=True), CLIPVisionConfig))
        projection = nn.Linear(model.config.hidden_size, settings["projection"], bias=False)
        pixels = Pixels(PixelFormat.from_json(settings["pixels"]))
        return ClipPictures(model, projection, pixels, raw=settings.get("raw", False))


def new_text(config: CLIPTextConfig, projection: int, tokens: Tokens) -> ClipText:
    """A text tower with random weights."""
    linear = nn.Linear(config.hidden_size, projection, bias=False)
    nn.init.normal_(linear.weight, std=config.hidden_size**-0.5)
    return ClipText(CLIPTextModel(config), linear, tokens)


def read_clip(source: ModelSource, options: Options) -> tuple[ClipText, ClipPictures]:
    """Both towers of a published CLIP, with its weights.

    Args:
        source: Where the model is.
        options: Of the encoder.

    Returns:
        In evaluation mode.

    Raises:
        MelderError: Another model: those that are like CLIP pool elsewhere, and nothing would show it.
    """
    config = read_config(source)
    if config.model_type != "clip":
        form = "joint:NAME if it has texts and pictures in one space, else paired:TEXT+VISION"
        raise MelderError(
            f"model '{source.name}' is of the type {config.model_type}, and clip: reads CLIP only; write {form}"
        )
    clip, report = read_model(CLIPModel, source, config=config)
    used = (clip.text_model, clip.text_projection, clip.vision_model, clip.visual_projection)
    check_weights(source, clip, used, report)
    processor = read_processor(source)
    positions = clip.config.text_config.max_position_embeddings
    tokenizer = read_tokenizer(source)
    tokens = Tokens(tokenizer, options.text_length, fixed=options.published, positions=positions)
    pixels = Pixels(PixelFormat.of(processor, source).read_for(options))
    return (
        ClipText(clip.text_model, clip.text_projection, tokens),
        ClipPictures(clip.vision_model, clip.visual_projection, pixels, raw=options.raw),
    )
