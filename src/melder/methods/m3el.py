"""M3EL: multi-level matching network for multimodal entity linking (KDD 2025, arXiv 2412.10440).

Intra-modal matching of texts (TIMM) and of pictures (IIMM), cross-modal matching in one direction (CMM) or both
(CMMB), and a contrastive loss within each modality. The total is the plain mean of the units.

What is corrected here and restored by `published: true` (a defect is a difference from what the paper describes):

* padded tokens and missing pictures are masked; published: they count like any other
* the patches attend to the text's tokens in the cross-modal block; published: to its global vector alone, a softmax
  over one key (`units/cross.py`)
* the unit that is trained is the one that is evaluated; published: WikiDiverse trains CMMB and evaluates an
  untrained CMM (`evaluate_cross: uni` with `cross: bi`)
* entities that are gold twice in a batch are no negatives, in either loss; the contrastive loss excludes
  self-similarity (`methods/losses.py`)
* the paper presents both directions, so `cross: bi` is the default; the published code uses `uni` on WikiMEL and
  RichpediaMEL
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator
from torch import nn

from melder.features import Sizes
from melder.methods.heads import SharedHeads
from melder.methods.losses import intra_modal_contrastive
from melder.methods.matcher import Loss, UnitMatcher
from melder.methods.method import MatchingMethod
from melder.methods.options import PRODUCTS, TokenMethodOptions, lexical_unit, total_options
from melder.methods.whitened_units import fitting_whitened, whitened_units
from melder.ops.assignment import Kind
from melder.ops.product_dtype import ProductKind
from melder.units.cross import BiMatchFusion, MatchFusion
from melder.units.global_local import GlobalLocal
from melder.units.inner_product import InnerProduct

__all__ = ["METHOD", "ContrastiveConfiguration", "M3ELConfiguration", "build_m3el"]

Cross = Literal["uni", "bi"]
UnitName = Literal["text", "image", "cross"]
VECTORS: dict[Cross, tuple[str, ...]] = {"uni": MatchFusion.vectors, "bi": BiMatchFusion.vectors}


class ContrastiveConfiguration(BaseModel):
    """The contrastive loss; the weights multiply logits, not losses (official `WeightedContrastiveLoss`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: PositiveFloat = 0.03
    inter_weight: PositiveFloat = 1.0
    intra_weight: PositiveFloat = 0.8


class M3ELConfiguration(TokenMethodOptions):
    """Published values are the defaults, save for the corrections above and the lexical unit."""

    name: Literal["m3el"] = "m3el"
    hidden: PositiveInt = Field(96, description="width of every unit")
    image_width: PositiveInt = Field(96, description="width of pictures after the linear heads")
    assignment: Kind = Field("attention", description="of tokens in the text and image units; transport is OT-MEL's")
    products: ProductKind = Field("float32", description=PRODUCTS)
    units: tuple[UnitName, ...] = Field(("text", "image", "cross"), description="leave some out for an ablation")
    cross: Cross = Field("bi", description="cross-modal matching: uni = CMM, bi = CMMB")
    evaluate_cross: Literal["same", "uni"] = Field("same", description="uni: the published WikiDiverse evaluation")
    pooling_heads: int = Field(5, ge=1, le=8)
    contrastive: ContrastiveConfiguration | None = ContrastiveConfiguration()

    @field_validator("units")
    @classmethod
    def _some(cls, value: tuple[UnitName, ...]) -> tuple[UnitName, ...]:
        if not value:
            raise ValueError("name at least one of text, image, cross")
        return tuple(dict.fromkeys(value))

    @property
    def vectors(self) -> dict[str, tuple[str, ...]]:
        """Names of the cross-modal units that are trained, and of those that are evaluated."""
        if "cross" not in self.units:
            return {"trained": (), "evaluated": ()}
        trained = VECTORS[self.cross]
        return {"trained": trained, "evaluated": trained if self.evaluate_cross == "same" else VECTORS["uni"]}


def build_m3el(configuration: M3ELConfiguration, sizes: Sizes) -> UnitMatcher:
    """The matcher for an encoder of these sizes; without vision the picture units answer a learned constant.

    Args:
        configuration: Of the method.
        sizes: Of the encoder's features.

    Returns:
        The matcher, with the losses of section 3.4.
    """
    c = configuration
    fusions = _fusions(c, sizes)
    heads = SharedHeads(sizes, c.image_width, fusions, published=c.published)
    local = {
        "text": GlobalLocal("text", sizes.text_global, sizes.text_tokens, c.hidden, c.assignment, c.products),
        "image": GlobalLocal("image", c.image_width, c.image_width, c.hidden, c.assignment, c.products),
    }
    units: dict[str, nn.Module] = {name: unit for name, unit in local.items() if name in c.units}
    units |= whitened_units(c, sizes)
    within, trained, evaluated = tuple(units), c.vectors["trained"], c.vectors["evaluated"]
    units |= {name: InnerProduct(name) for name in dict.fromkeys((*trained, *evaluated))}
    return UnitMatcher(
        heads,
        units,
        lexical_unit(c),
        _losses(c),
        total=total_options(c, (*within, *trained), (*within, *evaluated)),
    )


def _fusions(c: M3ELConfiguration, sizes: Sizes) -> nn.ModuleDict:
    """The cross-modal blocks that training or evaluation needs; none without vision."""
    wanted = {c.cross} | ({"uni"} if c.evaluate_cross == "uni" else set())
    if sizes.image_global is None or "cross" not in c.units:
        wanted = set()
    widths = (sizes.text_global, sizes.text_tokens, c.image_width, c.hidden, c.pooling_heads)
    keys: Literal["tokens", "global"] = "global" if c.published else "tokens"
    blocks = {"uni": MatchFusion, "bi": BiMatchFusion}
    return nn.ModuleDict({name: block(*widths, keys) for name, block in blocks.items() if name in wanted})


def _losses(c: M3ELConfiguration) -> dict[str, Loss]:
    if c.contrastive is None:
        return {}
    return {"contrastive": partial(intra_modal_contrastive, **c.contrastive.model_dump(), published=c.published)}


METHOD = MatchingMethod(M3ELConfiguration, build_m3el, fitting=fitting_whitened)
