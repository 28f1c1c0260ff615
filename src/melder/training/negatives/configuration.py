"""Which negatives are sampled, and how a generator of them learns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from melder.records import MelderError
from melder.runs.model_configuration import Section
from melder.training.negatives.samplers import SAMPLERS, SamplerClass

__all__ = ["GeneratorConfiguration", "NegativesConfiguration"]


class GeneratorConfiguration(Section):
    """PGMEL's generator. Its paper says that it is rewarded by the discriminator and learns by policy gradient; every
    value here is a choice that the paper, as far as it is known, leaves open."""

    hidden: PositiveInt = Field(128, description="width of its heads and fused vectors; a choice")
    similarity: Literal["dot", "cosine"] = Field(
        "dot", description="of its vectors: the inner product over the root of their width, or the cosine; a choice"
    )
    temperature: PositiveFloat = Field(1.0, description="of the softmax over the candidates; a choice")
    sees_gold: bool = Field(False, description="it knows the gold entity beside the mention; a choice")
    reward: Literal["score", "hinge", "softplus"] = Field(
        "score", description="of a negative: its score s, max(0, margin + s - s_gold), or log(1 + exp s); a choice"
    )
    margin: PositiveFloat = Field(0.5, description="of the hinge, as reward and in the log; a choice")
    standardise: bool = Field(True, description="divide rewards by their deviation in the batch; a choice")
    baseline_decay: float = Field(
        0.9, ge=0, lt=1, description="of the moving mean of rewards that is taken off them; a choice"
    )
    entropy: NonNegativeFloat = Field(0.01, description="weight of the entropy bonus; a choice")
    warm_epochs: NonNegativeInt = Field(
        1, description="epochs of uniform draws, in which it learns to tell gold from candidates; a choice"
    )
    every: PositiveInt = Field(1, description="it learns at every n-th step, the discriminator at each; a choice")
    learning_rate: PositiveFloat | None = Field(None, description="null = the matcher's; a choice")


class NegativesConfiguration(Section):
    """Entities that join those of a batch as negatives; published: none."""

    sampler: str = Field(
        "in_batch",
        description="in_batch: none more; uniform: any; lexical: names that look like the surface; hard: what the "
        "model scores highest; policy_gradient: what a generator picks, which learns from the model's scores; or one "
        "of another package (melder list samplers)",
    )
    count: PositiveInt = Field(2, description="negatives that each mention adds to the batch")
    candidates: PositiveInt = Field(
        16, description="how many of the most similar names to draw from; hard, policy_gradient: and of nearest vectors"
    )
    refresh: PositiveInt = Field(100, description="hard, policy_gradient: steps for which candidates are found at once")
    generator: GeneratorConfiguration = GeneratorConfiguration()
    planted: float = Field(
        0.0, ge=0, le=1, description="share of the entities copied under new ids and names, to count false negatives"
    )

    @field_validator("sampler")
    @classmethod
    def _is_there(cls, sampler: str) -> str:
        try:
            SAMPLERS.get(sampler)
        except MelderError as error:
            raise ValueError(str(error)) from None
        return sampler

    @property
    def drawing(self) -> SamplerClass:
        """How the sampler draws."""
        return SAMPLERS.get(self.sampler)
