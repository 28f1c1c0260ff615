"""How a model is trained; the published recipe is the default."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from melder.methods import method_of
from melder.runs.configuration_file import checked, override, read_yaml
from melder.runs.model_configuration import ModelConfiguration, Section
from melder.training.negatives.configuration import NegativesConfiguration
from melder.training.rerank.configuration import RerankTrainingConfiguration

__all__ = ["Configuration", "NegativesConfiguration", "SelectionFigure", "TrainingConfiguration", "read_configuration"]


SelectionFigure = Literal["mrr", "hits@1"]


class TrainingConfiguration(Section):
    """Published (MIMIC, M3EL): AdamW, learning rate 1e-5 for everything, eps 1e-4, decay 1e-4, batches of 128, at
    most 20 epochs, a look at the development set every 2, stop after 3 looks without improvement, float32."""

    batch_size: PositiveInt = Field(128, description="mentions a step, over all processes")
    epochs: NonNegativeInt = Field(20, description="0 = nothing is trained, the run is of the model as it is built")
    learning_rate: PositiveFloat = Field(1e-5, description="of the encoder, and of the rest unless that has its own")
    matcher_learning_rate: PositiveFloat | None = Field(None, description="of heads and units; null = learning_rate")
    lexical_learning_rate: PositiveFloat | None = Field(None, description="of the lexical weight; null = the matcher's")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="the encoder's rate is multiplied by it for every layer further from the output"
    )
    epsilon: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = Field(1e-4, description="not applied to biases, norms and constants")
    warmup_steps: NonNegativeInt = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    gradient_clip: PositiveFloat | None = None
    drop_text: float = Field(0.02, ge=0, lt=1, description="share of texts hidden, so that `absent` is learned")
    drop_image: float = Field(0.02, ge=0, lt=1, description="share of pictures hidden")
    augment: bool = Field(False, description="random views of pictures; needs a trained encoder that has them")
    select_on: Literal["tune", "dev"] = Field("tune", description="tune: a seeded tenth of train is held out")
    select_entities: bool = Field(
        False, description="hold out entities with all their mentions: selects for entities that training never shows"
    )
    select_by: SelectionFigure = Field(
        "mrr", description="the figure whose highest look decides which weights are kept"
    )
    select_ties: Literal["earlier", "later"] = Field("earlier", description="of looks that are equally good")
    average: PositiveInt = Field(
        1, description="looks, the best ones, whose weights are averaged; kept where no worse than the best one's"
    )
    validate_every: PositiveInt = Field(2, description="epochs between looks at the selection set")
    validate_every_steps: PositiveInt | None = Field(None, description="steps between looks, instead of epochs")
    validate_mentions: PositiveInt | None = Field(1000, description="mentions looked at then; null = all")
    patience: PositiveInt = Field(3, description="looks without improvement before training stops")
    checkpoint_every: PositiveInt = Field(100, description="steps between checkpoints that training resumes from")
    negatives: NegativesConfiguration = NegativesConfiguration()
    encode_at_once: PositiveInt | None = Field(
        None,
        description="items that a trained encoder reads together, with the pass through it repeated for gradients "
        "(gradient caching): memory no longer grows with batch_size; null = all of a batch",
    )
    workers: NonNegativeInt = Field(0, description="processes that tokenise and decode; 0 = the training process")
    logger: str | None = Field(
        None, description="csv, tensorboard, wandb or mlflow; null = tensorboard where it is installed"
    )
    processes: PositiveInt = Field(1, description="training processes, for several GPUs or (gloo) CPUs")
    seed: NonNegativeInt = 43

    @field_validator("processes")
    @classmethod
    def _a_mention_for_each(cls, processes: int, info: ValidationInfo) -> int:
        if processes > info.data.get("batch_size", processes):
            raise ValueError("every process needs a mention of each batch: raise batch_size, or start fewer")
        return processes

    @model_validator(mode="after")
    def _entities_of_train_are_held_out(self) -> TrainingConfiguration:
        if self.select_entities and self.select_on == "dev":
            raise ValueError("select_entities holds a part of train out: set select_on: tune")
        return self

    @model_validator(mode="after")
    def _refreshed_negatives_fit(self) -> TrainingConfiguration:
        """What a refresh found is not stored: a training that goes on from a checkpoint begins with a refresh."""
        negatives = self.negatives
        if negatives.drawing.refreshes and self.checkpoint_every % negatives.refresh:
            raise ValueError(
                f"checkpoint_every ({self.checkpoint_every}) must be a multiple of negatives.refresh "
                f"({negatives.refresh}) with the sampler {negatives.sampler}: change one of them"
            )
        if negatives.drawing.learns and self.workers:
            raise ValueError(f"the sampler {negatives.sampler} draws with what it learned so far: set workers: 0")
        return self


class Configuration(ModelConfiguration):
    """A whole configuration file: data, encoder, method, training."""

    training: TrainingConfiguration = TrainingConfiguration()
    rerank: RerankTrainingConfiguration | None = Field(
        None, description="a second look at the first candidates, which is trained when all else is"
    )

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Configuration:
        if self.encoder.trained and self.data.features is not None:
            raise ValueError("data.features are of a frozen encoder: leave them out, or set encoder.trained: false")
        for name in ("augment", "encode_at_once"):
            if getattr(self.training, name) and not self.encoder.trained:
                raise ValueError(f"training.{name} needs an encoder that is trained: set encoder.trained: true")
        if self.encoder.trained_layers is not None and not self.encoder.trained:
            raise ValueError("encoder.trained_layers needs an encoder that is trained: set encoder.trained: true")
        if self.training.layer_decay < 1 and not self.encoder.trained:
            raise ValueError("training.layer_decay needs an encoder that is trained: set encoder.trained: true")
        return self

    @model_validator(mode="after")
    def _made_mentions_are_train(self) -> Configuration:
        if self.data.from_entities and self.training.select_on == "dev":
            raise ValueError("data.from_entities makes no development set: set training.select_on: tune")
        return self

    @model_validator(mode="after")
    def _fit_for_the_method(self) -> Configuration:
        method, name = method_of(self.method), self.method.name  # type: ignore[attr-defined]
        if self.encoder.trained and not method.trains_encoder:
            raise ValueError(f"{name} trains no encoder: set encoder.trained: false")
        if self.training.negatives != NegativesConfiguration() and not method.samples_negatives:
            raise ValueError(f"{name} has no negatives: leave training.negatives out")
        if self.training.processes > 1 and not method.trains_in_processes:
            raise ValueError(f"{name} trains in one process: set training.processes: 1")
        return self


def read_configuration(path: Path, assignments: list[str] | None = None) -> Configuration:
    """A configuration of a training. Keys that do not exist are errors that name the nearest real one.

    Args:
        path: Of a YAML file.
        assignments: `key=value` settings, in the place of the file's.

    Returns:
        Checked.

    Raises:
        MelderError: The file cannot be read, or says something that cannot be.
    """
    return checked(Configuration, override(read_yaml(path), assignments or []), str(path))
