"""Which negatives are sampled, and how a generator of them learns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from melder.records import MelderError
from melder.runs.model_configuration import Section
from melder.training.negatives.samplers import SAMPLERS, SamplerClass

__all__ = ["GeneratorConfiguration", "NegativesConfiguration"]


class GeneratorConfiguration(Section):
    """PGMEL's generator. The abstract says that it learns by policy gradient, summaries of the paper that the
    discriminator rewards it; every value here is a choice that the paper, as far as it is known, leaves open."""

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
    baseline: Literal["leave_one_out", "moving"] = Field(
        "leave_one_out",
        description="what is taken off a reward: the mean of the mention's other draws (of one draw, of the other "
        "mentions'), or the moving mean of earlier batches; a choice",
    )
    baseline_decay: float = Field(0.9, ge=0, lt=1, description="of the moving mean; a choice")
    standardise: bool = Field(
        False,
        description="divide what is left of the rewards by its root mean square in the batch; biased, most of all with "
        "few draws; a choice",
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
        description="in_batch: none more; uniform: any; lexical: names that look like the surface; pool: any "
        "candidate by name or vector; hard: what the model scores highest of these; policy_gradient: what a generator "
        "picks of these, which learns from the model's scores; or one of another package (melder list samplers)",
    )
    count: PositiveInt = Field(2, description="negatives that each mention adds to the batch")
    candidates: PositiveInt = Field(
        16,
        description="how many most similar names to draw from; pool, hard, policy_gradient: and nearest vectors",
    )
    refresh: PositiveInt = Field(
        100, description="pool, hard, policy_gradient: steps for which candidates are found at once"
    )
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
