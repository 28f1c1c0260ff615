"""Any text model beside any vision model of transformers, each a tower of its own.

The two share no space until a method's heads give them one. Text is made into one vector as the model says it was
trained to be (`melder.encoders.sentence`); that of a joint model by the model itself (`melder.encoders.joint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoModel

from melder.data.pictures import Limits
from melder.encoders.joint import is_joint, joint_text
from melder.encoders.parts import unused_parts, without_parts
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.pretrained import new_model, read_config, read_model, read_processor, read_tokenizer
from melder.encoders.sentence import SentenceEncoder, SentenceHead, read_sentence_encoder
from melder.encoders.sources import ModelSource, reading
from melder.encoders.tokens import Tokens
from melder.encoders.towers import Options, Settings, TextTower
from melder.encoders.trial import check_pictures, settle_padding
from melder.encoders.weights import check_weights
from melder.protocols import Inputs
from melder.records import Item

__all__ = ["PretrainedPictures", "PretrainedText", "read_pictures", "read_text"]

Model = Any  # transformers ships no types
TEXT_PARTS = ("text_model", "language_model")  # of a model that reads more than text
VISION_PARTS = ("vision_model", "vision_tower")


class PretrainedText(nn.Module):
    """A text model and what makes one vector of its tokens.

    Args:
        model: a model of transformers, or the part of one that reads text
        config: of the whole model, by which it is built again
        head: pooling and what comes after it
        tokens: what cuts its texts
    """

    def __init__(self, model: Model, config: Any, head: SentenceHead, tokens: Tokens) -> None:
        super().__init__()
        self.model, self.config, self.head, self.tokens = model, config, head, tokens
        with torch.no_grad():
            vectors, states = self(tokens(["."]))
        self.widths = (vectors.shape[-1], states.shape[-1])

    def prepare(self, texts: Sequence[str]) -> Inputs:
        return self.tokens(texts)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        mask = inputs["attention_mask"]
        states = self.model(input_ids=inputs["input_ids"], attention_mask=mask.long()).last_hidden_state
        return self.head(states, mask), states

    def save(self, directory: Path) -> Settings:
        self.config.save_pretrained(directory)
        return {"kind": "pretrained", **self.head.to_json(), **self.tokens.save(directory)}

    @staticmethod
    def load(directory: Path, settings: Settings) -> PretrainedText:
        model = _empty(directory)
        head, tokens = SentenceHead.from_json(settings), Tokens.load(directory, settings)
        return PretrainedText(_text_part(model), model.config, head, tokens).eval()


class PretrainedPictures(nn.Module):
    """A vision model; the global vector is its pooled output or, where it has none, the first (class) token.

    Feature maps become tokens, position by position; without a pooled output their mean is the global vector.

    Args:
        model: a model of transformers, or the part of one that sees
        config: of the whole model, by which it is built again
        pixels: what reads its pictures
        raw: leave the global vector's length as it is, rather than 1
        without: names of the parts of `model` that were left out
    """

    def __init__(
        self, model: Model, config: Any, pixels: Pixels, *, raw: bool = False, without: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.model, self.config, self.pixels, self.blank, self.raw = model, config, pixels, pixels.blank, raw
        self.without = list(without)
        with torch.no_grad():
            pooled, tokens = _vision_features(model, pixels.model_inputs(pixels.example))
        self.widths, self.positions = (pooled.shape[-1], tokens.shape[-1]), tokens.shape[1]

    def read(self, item: Item) -> Inputs:
        return self.pixels.read(item)

    def check(self, content: bytes, limits: Limits | None = None) -> None:
        self.pixels.check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        pooled, tokens = _vision_features(self.model, self.pixels.model_inputs(inputs))
        return pooled if self.raw else normalize(pooled, dim=-1), tokens

    def save(self, directory: Path) -> Settings:
        self.config.save_pretrained(directory)
        pooler = getattr(self.model, "pooler", None) is not None
        settings = {"kind": "pretrained", "pooler": pooler, "pixels": self.pixels.form.to_json(), "raw": self.raw}
        return settings | {"without": self.without} if self.without else settings

    @staticmethod
    def load(directory: Path, settings: Settings) -> PretrainedPictures:
        model, pixels = _empty(directory), Pixels(PixelFormat.from_json(settings["pixels"]))
        raw, without = settings.get("raw", False), settings.get("without", ())
        part = without_parts(_vision_part(model, pooler=settings["pooler"]), without)
        return PretrainedPictures(part, model.config, pixels, raw=raw, without=without)


def read_text(source: ModelSource, options: Options) -> TextTower:
    """The text tower of a source, with its weights.

    Args:
        source: where the model is: a sentence encoder, a joint model, or a plain one
        options: of the encoder

    Returns:
        the tower, in evaluation mode

    Raises:
        MelderError: It cannot be read, weights are missing, or its text cannot be computed.
    """
    sentence = read_sentence_encoder(source, options.width)
    model, report = read_model(AutoModel, sentence.transformer)
    if is_joint(model):
        joint = joint_text(source, model, options)
        check_weights(source, model, (joint,), report)
        settle_padding(source, joint)
        return joint
    part = _text_part(model)
    check_weights(source, model, (part,), report)
    with reading(source, "its text cannot be computed"):
        tower = PretrainedText(part, model.config, sentence.head, _tokens(sentence, model, options)).eval()
    settle_padding(source, tower)
    return tower


def read_pictures(source: ModelSource, options: Options) -> PretrainedPictures:
    """The picture tower of a source, with its weights.

    Args:
        source: where the model is
        options: of the encoder

    Returns:
        the tower, in evaluation mode

    Raises:
        MelderError: It cannot be read, weights are missing, or it does not read plain pictures.
    """
    model, report = read_model(AutoModel, source)
    pixels = Pixels(PixelFormat.of(read_processor(source), source).read_for(options))
    # A checkpoint trained with another head leaves the pooler random: worse than no pooler at all.
    part = _vision_part(model, pooler=not any("pooler." in name for name in report["missing_keys"]))
    check_weights(source, model, (part,), report)
    with reading(source, "it does not read plain pictures"):
        without = unused_parts(part, lambda model: _vision_features(model, pixels.model_inputs(pixels.example)))
        part = without_parts(part, without)
        tower = PretrainedPictures(part, model.config, pixels, raw=options.raw, without=without)
    check_pictures(source, tower, pixels)
    return tower


def _tokens(sentence: SentenceEncoder, model: Model, options: Options) -> Tokens:
    tokenizer = read_tokenizer(sentence.transformer)
    if sentence.lowered:
        backend = tokenizer.backend_tokenizer
        backend.normalizer = Normalizers([Lowercase(), *([backend.normalizer] if backend.normalizer else [])])
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    length, fixed = options.text_length, options.published
    return Tokens(tokenizer, length, fixed=fixed, positions=positions, prompts=sentence.prompts)


def _empty(directory: Path) -> Model:
    """The model that a saved configuration describes, with random weights."""
    source = ModelSource(str(directory), local=True)
    return new_model(AutoModel, read_config(source), source)


def _text_part(model: Model) -> Model:
    """The text half of a joint model, the encoder of an encoder-decoder; without a pooler, which pooling replaces."""
    part = _first_part(model, TEXT_PARTS)
    encodes_and_decodes = hasattr(part, "encoder") and hasattr(part, "decoder")
    part = part.get_encoder() if encodes_and_decodes else part
    if getattr(part, "pooler", None) is not None:
        part.pooler = nn.Identity()  # some models call theirs without asking whether there is one
    return part


def _vision_features(model: Model, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """The global vectors [n, g], not normalised, and the tokens [n, P, d]."""
    out = model(**inputs)
    states, pooled = out.last_hidden_state, getattr(out, "pooler_output", None)
    is_map = states.dim() == 4
    tokens = states.flatten(2).transpose(1, 2) if is_map else states
    if pooled is None:
        pooled = tokens.mean(dim=1) if is_map else tokens[:, 0]
    return pooled.flatten(1), tokens


def _vision_part(model: Model, *, pooler: bool) -> Model:
    part = _first_part(model, VISION_PARTS)
    return part if pooler else _without_pooler(part)


def _first_part(model: Model, names: Sequence[str]) -> Model:
    return next((getattr(model, name) for name in names if getattr(model, name, None) is not None), model)


def _without_pooler(model: Model) -> Model:
    """An unused pooler's parameters would never get a gradient."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model
