"""PGMEL: policy gradient-based generative adversarial network for multimodal entity linking (arXiv 2510.02726).

**A reconstruction.** Of the paper only the abstract, the beginning of the introduction and summaries were at hand, and
there is no published code: numbers of this method are Melder's, not the paper's. The abstract says: metric learning in
a generative adversarial setting, hard negatives from a generator that learns by policy gradient. Summaries of the paper
add: rewards from the discriminator, a loss of the triplet kind, text and picture of both sides fused by a gated
multimodal unit. What is chosen here says so below.

    f = GMU(head(text), head(picture)),   s(m, e) = cos(f_m, f_e),   loss = mean of max(0, margin - s(m, e+) + s(m, e-))

This is the discriminator, which alone is needed to link. The generator is a sampler that every method may train with
(`training.negatives.sampler: policy_gradient`, `melder.training.negatives.generator`); any other sampler will do here
too.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from torch import Tensor, nn

from melder.features import Sizes
from melder.methods.global_heads import GlobalHeads
from melder.methods.losses import Batch, triplet
from melder.methods.matcher import UnitMatcher
from melder.methods.method import MatchingMethod
from melder.methods.options import MethodOptions, lexical_unit, total_options
from melder.records import MelderError
from melder.units.gated_multimodal import Distance, FusedMatch, Fusion

__all__ = ["METHOD", "PGMELConfiguration", "build_pgmel", "sampled_triplet"]


class PGMELConfiguration(MethodOptions):
    """Every value is a choice: the paper's are not known.

    The lexical weight starts lower than elsewhere, at the scale of a cosine and its margin.
    """

    name: Literal["pgmel"] = "pgmel"
    lexical_weight: PositiveFloat = Field(1.0, description="where the learned weight starts")
    hidden: PositiveInt = Field(512, description="width of heads and fused vectors; a choice")
    fusion: Fusion = Field("gated", description="gated: the paper's; concat, text, image: ablations")
    distance: Distance = Field("cosine", description="cosine, or minus the squared L2 distance; a choice")
    margin: PositiveFloat = Field(0.5, description="of the triplet loss; a choice, 1.0 is usual with l2")
    shared: bool = Field(True, description="one gated unit for mentions and entities, or one each; a choice")
    triplets: Literal["own", "all"] = Field(
        "own", description="negatives that each mention sampled itself, or all of the batch; a choice"
    )

    @field_validator("published")
    @classmethod
    def _no_code(cls, value: bool) -> bool:
        if value:
            raise ValueError("there is no published code of PGMEL to reproduce: leave it out")
        return value


def build_pgmel(configuration: PGMELConfiguration, sizes: Sizes) -> UnitMatcher:
    """The discriminator for an encoder of these sizes; without vision every picture is the learned vector.

    Args:
        configuration: Of the method.
        sizes: Of the encoder's features.

    Returns:
        The matcher; the generator of negatives is a part of training.

    Raises:
        MelderError: Pictures alone are to be compared, and the encoder has no vision.
    """
    c = configuration
    if c.fusion == "image" and sizes.image_global is None:
        raise MelderError("method.fusion: image needs an encoder with pictures; choose another encoder, or gated")
    unit = FusedMatch(c.hidden, c.hidden, c.hidden, c.fusion, c.distance, c.shared)
    units: dict[str, nn.Module] = {"fused": unit}
    loss = partial(sampled_triplet if c.triplets == "own" else partial(triplet, weight=1.0), margin=c.margin)
    heads = GlobalHeads(sizes, c.hidden)
    return UnitMatcher(heads, units, lexical_unit(c), ranking_loss=loss, total=total_options(c))


def sampled_triplet(scores: Tensor, batch: Batch, *, margin: float) -> Tensor:
    """max(0, margin + s_negative - s_gold) over each mention's own sampled negatives.

    The mean over all draws; one that turned out to be no negative counts as 0. Where nothing is sampled (`in_batch`)
    all entities of the batch are negatives, as in `triplet`.

    Args:
        scores: [m, e].
        batch: Whose answers and sampled negatives count.
        margin: By how much the gold entity is to stand above each negative.

    Returns:
        A scalar.
    """
    if batch.sampled is None or not batch.sampled.shape[1]:
        return triplet(scores, batch, margin=margin, weight=1.0)
    scores = scores.float()
    gold = scores.gather(1, batch.gold[:, None])
    losses = (margin + scores.gather(1, batch.sampled.clamp(min=0)) - gold).relu()
    return (losses * (batch.sampled >= 0)).mean()


METHOD = MatchingMethod(PGMELConfiguration, build_pgmel)
