"""GEMEL: generative multimodal entity linking (LREC-COLING 2024, arXiv 2306.12725), its settings.

A frozen language model writes the name of the entity; a frozen picture encoder and a trained mapper, as published one
linear layer, put the picture before the text. `melder.generative` holds what does that; this file holds only what a
configuration says, so that it can be read without a language model.

What is corrected here and restored by `published: true`:

* the language model stays in evaluation mode in training; published: its dropout is on from the first step to the last
* a mention without a picture has a learned prefix; published: the mapper's answer to zeros

Chosen here: the mapper is trained in float32 (published: fp16 with Adam's moments, where a learning rate of 1e-6
acts like momentum SGD with a rate of about 0.6), and the schedule counts optimizer steps.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from melder.methods.method import GenerativeMethod
from melder.protocols import Precision

__all__ = [
    "CHAT",
    "COMPACT",
    "METHOD",
    "PUBLISHED_TEMPLATE",
    "RESAMPLER_HEADS",
    "CompactConfiguration",
    "DemonstrationsConfiguration",
    "GEMELConfiguration",
    "LoRAConfiguration",
    "MatchingConfiguration",
]

RESAMPLER_HEADS = 4
COMPACT = "lm:compact"  # the language model that is part of the run; others are named
CHAT = "chat"  # the template of the language model's tokenizer
PUBLISHED_TEMPLATE = "[Text]{text}\n[Question]What does {mention} mentioned in the text refer to?\n[Answer]{answer}\n"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DemonstrationsConfiguration(_Section):
    """Training mentions that stand before each mention, the most similar one last.

    Similarity is a weighted sum of cosines. Published: 16, by the surface alone, with SimCSE's pooler output.
    """

    count: NonNegativeInt = Field(16, description="demonstrations a mention; 0 = none")
    retriever: str | None = Field(None, description="a text model that embeds surfaces; null = the encoder's own")
    pooling: Literal["auto", "pooler"] = Field("auto", description="of the retriever; pooler = its pooler's output")
    surface: NonNegativeFloat = Field(1.0, description="weight of the surfaces' cosine")
    context: NonNegativeFloat = Field(0.0, description="weight of the texts' cosine")
    picture: NonNegativeFloat = Field(0.0, description="weight of the pictures' cosine")
    skip: Literal["identical", "itself"] = Field(
        "identical", description="which training mentions do not demonstrate one in training: same surface and text"
    )


class CompactConfiguration(_Section):
    """`lm:compact`: a small language model that is trained on the data set's own texts before the mapper is."""

    width: PositiveInt = 128
    layers: PositiveInt = 3
    heads: PositiveInt = 4
    steps: PositiveInt = Field(600, description="training steps")
    batch_size: PositiveInt = Field(32, description="texts a step")
    learning_rate: PositiveFloat = 2e-3

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> CompactConfiguration:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of twice the {self.heads} heads")
        return self


class MatchingConfiguration(_Section):
    """A finished run of a matching method, which helps to link: it orders entities that share a name and, with `top`,
    finds the candidates, whose scores are then fused with the language model's."""

    run: Path | None = Field(None, description="the directory of the run; null = none")
    top: NonNegativeInt = Field(0, description="candidates that it finds; 0 = it only orders homonyms")
    weight: float = Field(0.5, ge=0, le=1, description="of the language model's score among the candidates")


class LoRAConfiguration(_Section):
    """Low-rank terms beside the language model's weights, trained with the mapper. Published: none."""

    rank: NonNegativeInt = Field(0, description="of the terms; 0 = the language model stays as it is")
    alpha: PositiveFloat = Field(16.0, description="the terms are multiplied with alpha / rank")
    layers: tuple[str, ...] = Field((), description="names of linear layers, such as q_proj; none = peft's choice")


class GEMELConfiguration(_Section):
    """Published: OPT-6.7B, 4 prefix tokens, 16 demonstrations, 5 beams, mean log-probability."""

    name: Literal["gemel"] = "gemel"
    language_model: str = Field(
        "facebook/opt-6.7b", description="a causal model by name, directory, python:PACKAGE or gguf:FILE; or lm:compact"
    )
    precision: Precision = Field("float32", description="of the language model; the mapper is float32")
    compact: CompactConfiguration = CompactConfiguration()
    mapper: Literal["linear", "bottleneck", "resampler"] = Field(
        "linear", description="one layer (published), two with fewer units between them, or attention over patches"
    )
    mapper_start: Literal["random", "names"] = Field(
        "random", description="of a linear mapper; names = near the words that name what the training pictures show"
    )
    mapper_width: PositiveInt = Field(128, description="units within a bottleneck or a resampler")
    lora: LoRAConfiguration = LoRAConfiguration()
    prefix_tokens: PositiveInt = Field(4, description="vectors that a picture becomes")
    template: str = Field(
        PUBLISHED_TEMPLATE,
        description="with {text}, {mention} and, last of them, {answer}; {picture} where its prefix stands; "
        "or chat: the model's own",
    )
    markers: bool = Field(False, description="mark the mention in its text, as [START_ENT] mention [END_ENT]")
    demonstrations: DemonstrationsConfiguration = DemonstrationsConfiguration()
    context_length: PositiveInt | None = Field(None, description="positions of a prompt; null = the model's limit")
    at_once: PositiveInt = Field(8, description="mentions that go through the language model together")
    aliases: bool = Field(False, description="an entity may be answered by its aliases too")
    score: Literal["mean", "sum"] = Field("mean", description="log-probability of a name: mean over its tokens, or sum")
    decoding: Literal["auto", "exact", "beam"] = Field(
        "auto", description="auto = exact where all names are scored; beams beyond, which may miss the best name"
    )
    beams: PositiveInt = 5
    all_names: NonNegativeInt = Field(200, description="up to so many names all are scored, and ranks are exact")
    best_names: PositiveInt = Field(50, description="exact beyond that: names found; ranks after them are bounds")
    most_prefixes: PositiveInt = Field(20_000, description="read a mention to find them; a search beyond is given up")
    matching: MatchingConfiguration = MatchingConfiguration()
    published: bool = False

    @model_validator(mode="after")
    def _compact_does_not_chat(self) -> GEMELConfiguration:
        if self.template == CHAT and self.language_model == COMPACT:
            raise ValueError(
                f"template: {COMPACT} has no chat template; write one with {{text}}, {{mention}}, {{answer}}"
            )
        return self

    @model_validator(mode="after")
    def _parts_go_together(self) -> GEMELConfiguration:
        if self.published and (self.mapper != "linear" or self.mapper_start != "random" or self.lora.rank):
            raise ValueError("published: its mapper is linear with a random start, its language model without LoRA")
        if self.mapper_start == "names" and self.mapper != "linear":
            raise ValueError("mapper_start: names is a start for the linear mapper; leave it out, or take that one")
        if self.lora.rank and self.language_model == COMPACT:
            raise ValueError(f"lora: {COMPACT} is trained itself; name another language model, or leave lora out")
        if self.mapper == "resampler" and self.mapper_width % RESAMPLER_HEADS:
            raise ValueError(f"mapper_width: a resampler's must be a multiple of {RESAMPLER_HEADS}")
        return self

    @property
    def reads_patches(self) -> bool:
        """Its mapper reads the tokens of a picture, not its one vector."""
        return self.mapper == "resampler"

    @field_validator("template")
    @classmethod
    def _has_its_fields(cls, template: str) -> str:
        if template == CHAT:
            return template
        fields = re.findall(r"\{(\w*)\}", template)
        if (
            sorted({*fields, "picture"}) != ["answer", "mention", "picture", "text"]
            or fields[-1] != "answer"
            or (len(set(fields)) < len(fields))
        ):
            raise ValueError(
                "the template is chat, or needs {text}, {mention} and {answer}, once each, {answer} last; {picture} "
                "may stand once before {answer}"
            )
        return template


METHOD = GenerativeMethod(GEMELConfiguration)
