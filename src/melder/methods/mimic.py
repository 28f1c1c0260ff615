"""MIMIC: multi-grained multimodal interaction network for entity linking (KDD 2023, arXiv 2307.09721).

Text with text (TGLU), picture with picture in both directions (VDLU), and text fused with picture within each side
(CMFU). The total is the plain mean of the three; the loss is the cross-entropy of the total and of each of them.

What is corrected here and restored by `published: true` (a defect is a difference from what the paper describes):

* padded tokens and missing pictures are masked; published: they count like any other
* entities that are gold twice in a batch are no negatives (`methods/losses.py`)

The image unit's published code is not what the paper's figure shows (`units/vision_dual.py`). Neither is plainly the
defect: the code, which gave the published numbers, is the default, and `variant: figure` is the figure's.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from melder.features import Sizes
from melder.methods.heads import SharedHeads
from melder.methods.matcher import UnitMatcher
from melder.methods.method import MatchingMethod
from melder.methods.options import PRODUCTS, TokenMethodOptions, lexical_unit, total_options
from melder.methods.whitened_units import fitting_whitened, whitened_units
from melder.ops.assignment import Kind
from melder.ops.product_dtype import ProductKind
from melder.units.gated_fusion import GatedFusion
from melder.units.global_local import GlobalLocal
from melder.units.inner_product import InnerProduct
from melder.units.vision_dual import Variant, VisionDual

__all__ = ["METHOD", "MIMICConfiguration", "build_mimic"]


class MIMICConfiguration(TokenMethodOptions):
    """Published values are the defaults, save for the corrections above and the lexical unit."""

    name: Literal["mimic"] = "mimic"
    hidden: PositiveInt = Field(96, description="width of the text and the cross-modal unit")
    image_width: PositiveInt = Field(96, description="width of pictures after the linear heads, and of their unit")
    assignment: Kind = Field("attention", description="of tokens in the text unit; transport is OT-MEL's")
    products: ProductKind = Field("float32", description=PRODUCTS)
    variant: Variant = Field("code", description="the image unit as in the published code, or as in the paper's figure")


def build_mimic(configuration: MIMICConfiguration, sizes: Sizes) -> UnitMatcher:
    """The matcher for an encoder of these sizes; without vision the picture units answer a learned constant.

    Args:
        configuration: Of the method.
        sizes: Of the encoder's features.

    Returns:
        The matcher, each of whose units has the in-batch cross-entropy.
    """
    c = configuration
    fusions = nn.ModuleDict()
    if sizes.image_global is not None:
        fusions["cross"] = GatedFusion(sizes.text_global, c.image_width, c.hidden)
    units: dict[str, nn.Module] = {
        "text": GlobalLocal("text", sizes.text_global, sizes.text_tokens, c.hidden, c.assignment, c.products),
        "image": VisionDual(c.image_width, c.variant),
        "cross": InnerProduct("cross"),
        **whitened_units(c, sizes),
    }
    heads = SharedHeads(sizes, c.image_width, fusions, published=c.published)
    return UnitMatcher(heads, units, lexical_unit(c), total=total_options(c))


METHOD = MatchingMethod(MIMICConfiguration, build_mimic, fitting=fitting_whitened)
