"""Units by name, as other packages compose methods of them."""

from __future__ import annotations

from collections.abc import Callable

from melder.protocols import Unit
from melder.registry import Entry, Registry

__all__ = ["UNITS"]

UNITS = Registry[Callable[..., Unit]](
    "unit",
    "melder.units",
    (
        Entry("cosine", "melder.units.cosine:Cosine", "inner product of the global vectors of a modality"),
        Entry("inner_product", "melder.units.inner_product:InnerProduct", "of vectors fused from text and picture"),
        Entry("global_local", "melder.units.global_local:GlobalLocal", "global vectors, and tokens by attention"),
        Entry("ot_global_local", "melder.units.transport_local:OTGlobalLocal", "the same by optimal transport"),
        Entry("vision_dual", "melder.units.vision_dual:VisionDual", "MIMIC's two directions between pictures"),
        Entry("fused_match", "melder.units.gated_multimodal:FusedMatch", "cosine or distance of gated vectors"),
        Entry("whitened", "melder.units.whitened:Whitened", "cosine of a frozen encoder's pictures, whitened"),
        Entry("lexical", "melder.units.lexical:Lexical", "names compared as strings"),
    ),
)
