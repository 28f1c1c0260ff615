"""How a second look is trained."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from melder.runs.model_configuration import Section
from melder.runs.rerank_configuration import RerankConfiguration

__all__ = ["CrossTrainingConfiguration", "RerankTrainingConfiguration"]


class CrossTrainingConfiguration(Section):
    """Each step shows some mentions, each with its entity and wrong candidates that the first stage found."""

    mentions: PositiveInt | None = Field(None, description="of train; null = all")
    negatives: PositiveInt = Field(4, description="wrong candidates a mention, drawn anew every epoch")
    batch_size: PositiveInt = Field(8, description="mentions a step")
    epochs: PositiveInt = 1
    learning_rate: PositiveFloat = Field(3e-5, description="of the model")
    head_learning_rate: PositiveFloat = Field(1e-3, description="of a new layer over a text tower")
    weight_decay: NonNegativeFloat = 0.01
    warmup_steps: NonNegativeInt = 20
    validate_every_steps: PositiveInt = Field(200, description="steps between looks at the selection set")
    validate_mentions: PositiveInt | None = Field(200, description="mentions looked at then; null = all")
    patience: PositiveInt = Field(3, description="looks without improvement before training stops")
    checkpoint_every: PositiveInt = Field(50, description="steps between checkpoints that training resumes from")


class RerankTrainingConfiguration(RerankConfiguration):
    """A second look and how it is trained."""

    weight_mentions: PositiveInt | None = Field(
        300, description="of the selection set, on which the weight is learned; null = all"
    )
    training: CrossTrainingConfiguration = CrossTrainingConfiguration()

    def look(self) -> RerankConfiguration:
        """The second look itself."""
        return RerankConfiguration(**{name: getattr(self, name) for name in RerankConfiguration.model_fields})
