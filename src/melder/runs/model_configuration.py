"""What a run says of its data, its encoder and its method. `melder.training` adds how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SerializeAsAny, field_validator, model_validator

from melder.data.pictures import FORMATS, known_formats
from melder.encoders import trained_by_default
from melder.methods import METHODS
from melder.protocols import Precision
from melder.records import MelderError

__all__ = ["DataConfiguration", "EncoderConfiguration", "ModelConfiguration", "Section"]


class Section(BaseModel):
    """A part of a configuration file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfiguration(Section):
    """Where the records are and what of them is used."""

    directory: Path = Field(description="a data set's directory")
    layout: str = Field("auto", description="the layout's name, or auto to detect it")
    text_field: Literal["attr", "desc"] = Field("desc", description="an entity's text in the MIMIC layout")
    modalities: tuple[Literal["text", "image"], ...] = ("text", "image")
    fraction: float = Field(1.0, gt=0, le=1, description="the first share of train that is trained on")
    from_entities: PositiveInt | None = Field(
        None, description="make so many mentions of each entity of `directory` instead of reading any"
    )
    features: Path | None = Field(None, description="a directory that `melder features` wrote")
    skip_bad: bool = Field(False, description="leave malformed records out, and count them")

    @field_validator("modalities")
    @classmethod
    def _at_least_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one of text, image")
        return tuple(dict.fromkeys(value))


class EncoderConfiguration(Section):
    """Which encoder, and whether training changes it."""

    name: str = Field(
        description="starter, clip:NAME, clip:compact, clip:compact-64, joint:NAME, paired:TEXT+VISION or "
        "precomputed:FILES+TEXT"
    )
    trained: bool = Field(
        False,
        description="train the encoder too; false: encode once, train heads and units; clip:compact, which knows "
        "nothing before it is trained, has true unless this says false",
    )
    precision: Precision = Field(
        "float32", description="what the encoder computes in; bf16 is twice as fast where the processor has it"
    )
    text_length: PositiveInt = Field(40, description="tokens of a text, the rest is cut off")
    pooled: Literal["projected", "raw"] = Field(
        "projected", description="a picture's vector: after CLIP's projection and of length 1, or raw, before it"
    )
    # What came later is left out of `repr`, which features that were stored before are known by.
    trained_layers: PositiveInt | None = Field(
        None, repr=False, description="with trained: the last layers of each tower that learn; null = all"
    )
    width: PositiveInt | None = Field(
        None, repr=False, description="use so many first numbers of a text's vector (Matryoshka models); null = all"
    )
    picture_formats: tuple[str, ...] = Field(
        FORMATS, repr=False, description="pictures that are decoded, as Pillow calls them"
    )
    picture_pixels: PositiveInt = Field(
        50_000_000, repr=False, description="most pixels of a picture as it is decoded; larger JPEGs are reduced"
    )
    context: Literal["window", "beginning"] = Field(
        "window",
        repr=False,
        description="of a longer text read the words around the mention, or its beginning, as published",
    )

    @field_validator("picture_formats")
    @classmethod
    def _formats_of_pillow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return known_formats(value)

    @model_validator(mode="before")
    @classmethod
    def _trained_where_it_knows_nothing(cls, value: Any) -> Any:
        is_new = isinstance(value, dict) and trained_by_default(str(value.get("name")))
        return {"trained": True, **value} if is_new else value


class ModelConfiguration(Section):
    """What is needed to link with a run."""

    data: DataConfiguration
    encoder: EncoderConfiguration
    method: SerializeAsAny[BaseModel]

    @field_validator("method", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any) -> Any:
        """A mapping becomes the configuration of the method that its `name` names."""
        if not isinstance(value, dict):
            return value
        if "name" not in value:
            raise ValueError("a method needs a name, such as m3el")
        try:
            return METHODS.get(str(value["name"])).configuration.model_validate(value)
        except MelderError as error:
            raise ValueError(str(error)) from None

    @property
    def published(self) -> bool:
        """Whether the method is to repeat the published code's defects; some methods have no published code."""
        return bool(getattr(self.method, "published", False))

    @property
    def pictures(self) -> int:
        """How many pictures of an entity or a mention are read, where they have as many."""
        return int(getattr(self.method, "pictures", 1))
