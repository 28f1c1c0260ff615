"""OT-MEL: optimal transport guided correlation assignment (Findings of ACL 2024, arXiv 2406.01934).

Texts with texts and pictures with pictures by transport plans between their tokens, and text and picture of each side
fused by transport in both directions. The total is the plain mean of the three; the losses are the cross-entropies of
the total and of each of them, and the distillation of the plans into attention.

The published code does not run, and lacks what its paper trains the student with. From the paper, whose details could
be read in its figure and abstract only, and chosen here: the distillation (`methods/distillation.py`), learned
marginals (`units/transport_options.py`), and what an attention row is normalised in: the same norm as the plan's.
A guess: the triplet loss (`methods/losses.py`), off by default.

What is corrected here and restored by `published: true`:

* padded tokens and missing pictures are masked; published: they count like any other
* entities that are gold twice in a batch are no negatives

With `distillation: null` as well, it is the method as published. `row_norm` and `marginals` are as published by
default, and without distillation `detach_plan` is: neither code nor paper says that these are mistakes.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator
from torch import nn

from melder.features import Sizes
from melder.methods.distillation import Distillation
from melder.methods.heads import SharedHeads
from melder.methods.losses import triplet
from melder.methods.matcher import Loss, ScoreLoss, UnitMatcher
from melder.methods.method import MatchingMethod
from melder.methods.options import TokenMethodOptions, lexical_unit, total_options
from melder.methods.whitened_units import fitting_whitened, whitened_units
from melder.ops.assignment import Kind
from melder.ops.transport import RowNorm
from melder.units.inner_product import InnerProduct
from melder.units.transport_fusion import OTFusion
from melder.units.transport_local import OTGlobalLocal
from melder.units.transport_options import Marginals, TransportOptions

__all__ = ["METHOD", "DistillationConfiguration", "OTMELConfiguration", "TripletConfiguration", "build_ot_mel"]

Teacher = Literal["task", "frozen", "drifting"]
UnitName = Literal["text", "image", "fusion"]


class DistillationConfiguration(BaseModel):
    """Attention taught by the plans; `group` mentions and their entities are compared with each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: PositiveFloat = 1.0
    temperature: PositiveFloat = 1.0
    group: PositiveInt = 8
    teacher: Teacher = Field(
        "task",
        description="of pairs: task = the task's gradient passes through plans, whatever detach_plan says; frozen = "
        "plans of the first queries and keys; drifting = what no task trains, as before there was this setting",
    )


class TripletConfiguration(BaseModel):
    """A guess at the loss that was never published."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    margin: PositiveFloat = 1.0
    weight: PositiveFloat = 1.0


class OTMELConfiguration(TokenMethodOptions):
    """Published values are the defaults, save for the corrections above, the distillation and the lexical unit."""

    name: Literal["ot_mel"] = "ot_mel"
    hidden: PositiveInt = Field(96, description="width of every unit")
    token_width: PositiveInt = Field(512, description="width of tokens after the linear heads")
    units: tuple[UnitName, ...] = ("text", "image", "fusion")
    assignment: Kind = Field("transport", description="attention: the student; may be chosen after training")
    epsilon: PositiveFloat = Field(0.05, description="of entropic transport; smaller plans are sharper")
    iterations: PositiveInt = Field(3, description="of Sinkhorn's algorithm")
    row_norm: RowNorm = "l2"
    marginals: Marginals = "uniform"
    detach_plan: bool = Field(True, description="no task's gradient passes through plans of pairs, as published")
    dropout: float = Field(0.1, ge=0, lt=1, description="of the plans' entries, in training")
    distillation: DistillationConfiguration | None = DistillationConfiguration()
    triplet: TripletConfiguration | None = None

    @field_validator("units")
    @classmethod
    def _some(cls, value: tuple[UnitName, ...]) -> tuple[UnitName, ...]:
        if not value:
            raise ValueError("name at least one of text, image, fusion")
        return tuple(dict.fromkeys(value))

    @property
    def detaches(self) -> bool:
        """Whether plans between mentions and entities are without the task's gradient."""
        return self.detach_plan and (self.distillation is None or self.distillation.teacher != "task")


def build_ot_mel(configuration: OTMELConfiguration, sizes: Sizes) -> UnitMatcher:
    """The matcher for an encoder of these sizes; without vision the picture units answer a learned constant.

    Args:
        configuration: Of the method.
        sizes: Of the encoder's features.

    Returns:
        The matcher, with the losses that the configuration names.
    """
    c = configuration
    options = TransportOptions(c.assignment, c.epsilon, c.iterations, c.row_norm, c.marginals, c.detaches, c.dropout)
    fused = sizes.image_global is not None and "fusion" in c.units
    fusion = OTFusion(c.token_width, c.token_width, c.hidden, options) if fused else None
    heads = SharedHeads(
        sizes,
        c.token_width,
        nn.ModuleDict({} if fusion is None else {"fusion": fusion}),
        project=("text_tokens", "image_tokens"),
        published=c.published,
    )
    local = {
        "text": OTGlobalLocal("text", sizes.text_global, c.token_width, c.hidden, options),
        "image": OTGlobalLocal("image", sizes.image_global or c.token_width, c.token_width, c.hidden, options),
    }
    local = {name: unit for name, unit in local.items() if name in c.units}
    units: dict[str, nn.Module] = {
        name: InnerProduct("fusion") if name == "fusion" else local[name] for name in c.units
    }
    units |= whitened_units(c, sizes)
    losses = _losses(c, local, fusion)
    return UnitMatcher(heads, units, lexical_unit(c), losses, score_losses=_score_losses(c), total=total_options(c))


def _losses(c: OTMELConfiguration, local: dict[str, OTGlobalLocal], fusion: OTFusion | None) -> dict[str, Loss]:
    if c.distillation is None:
        return {}
    settings = c.distillation.model_dump(exclude={"teacher"})
    frozen = {name: deepcopy(unit).requires_grad_(False) for name, unit in local.items()}
    teachers = frozen if c.distillation.teacher == "frozen" else {}
    return {"distillation": Distillation(local, fusion, teachers, **settings)}


def _score_losses(c: OTMELConfiguration) -> dict[str, ScoreLoss]:
    return {} if c.triplet is None else {"triplet": partial(triplet, **c.triplet.model_dump())}


METHOD = MatchingMethod(OTMELConfiguration, build_ot_mel, fitting=fitting_whitened)
