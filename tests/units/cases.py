"""One case a unit, which `test_every_unit.py` puts through everything that a unit promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from melder.features import Features, Heads, Sizes
from melder.methods.heads import SharedHeads
from melder.units.cosine import Cosine
from melder.units.cross import BiMatchFusion, MatchFusion
from melder.units.gated_fusion import GatedFusion
from melder.units.gated_multimodal import FusedMatch
from melder.units.global_local import GlobalLocal
from melder.units.inner_product import InnerProduct
from melder.units.lexical import Lexical
from melder.units.local_side import Modality
from melder.units.transport_fusion import OTFusion
from melder.units.transport_local import OTGlobalLocal
from melder.units.transport_options import TransportOptions
from melder.units.vision_dual import VisionDual
from melder.units.whitened import Pictured, Whitened
from units.made import SIZES, features

WIDTH, HIDDEN = 7, 8  # of pictures after the heads, of units
ABSENT = 0.375  # a value for the learned constant that no score has by chance


@dataclass(frozen=True)
class Case:
    """A unit, and the modalities that a pair must have on both sides for it to compare them; a unit that needs none
    has learned what to take in the place of those that are missing.

    blocks: the cross-modal blocks whose vectors it reads, for an encoder with vision of these sizes
    """

    build: Callable[[], nn.Module]
    reads: frozenset[str]
    blocks: Callable[[Sizes], dict[str, nn.Module]] = lambda sizes: _match_fusions(sizes)


# Without dropout, so that the same pair has the same score twice.
_TRANSPORTS = {
    "transport": TransportOptions(dropout=0.0),
    "learned transport": TransportOptions(marginals="learned", detach_plan=False, row_norm="l1", dropout=0.0),
    "student": TransportOptions("attention", dropout=0.0),
}


def _transported(modality: Modality, options: TransportOptions) -> Case:
    widths = {"text": (SIZES.text_global, SIZES.text_tokens), "image": (WIDTH, WIDTH)}[modality]
    chosen = replace(options, dropout=0.0)
    return Case(lambda: OTGlobalLocal(modality, *widths, HIDDEN, chosen), frozenset({modality}))


CASES: dict[str, Case] = {
    "text": Case(lambda: GlobalLocal("text", SIZES.text_global, SIZES.text_tokens, HIDDEN), frozenset({"text"})),
    "image": Case(lambda: GlobalLocal("image", WIDTH, WIDTH, HIDDEN), frozenset({"image"})),
    "cross": Case(lambda: InnerProduct("cross"), frozenset({"text", "image"})),
    "text_to_image": Case(lambda: InnerProduct("text_to_image"), frozenset({"text", "image"})),
    "image_to_text": Case(lambda: InnerProduct("image_to_text"), frozenset({"text", "image"})),
    "gated": Case(
        lambda: InnerProduct("cross"),
        frozenset({"text", "image"}),
        lambda sizes: {"gated": GatedFusion(sizes.text_global, WIDTH, HIDDEN)},
    ),
    "dual": Case(lambda: VisionDual(WIDTH), frozenset({"image"})),
    "dual of the figure": Case(lambda: VisionDual(WIDTH, "figure"), frozenset({"image"})),
    "cosine of texts": Case(lambda: Cosine("text"), frozenset({"text"})),
    "cosine of pictures": Case(lambda: Cosine("image"), frozenset({"image"})),
    "whitened pictures": Case(lambda: _whitened("global"), frozenset({"image"})),
    "whitened patches": Case(lambda: _whitened("patches"), frozenset({"image"})),
    "text by transport": Case(
        lambda: GlobalLocal("text", SIZES.text_global, SIZES.text_tokens, HIDDEN, "transport"), frozenset({"text"})
    ),
    **{f"text, {name}": _transported("text", options) for name, options in _TRANSPORTS.items()},
    "image, transport": _transported("image", TransportOptions()),
    **{
        f"fusion, {name}": Case(
            lambda: InnerProduct("fusion"),
            frozenset({"text", "image"}),
            lambda sizes, chosen=options: {"fusion": OTFusion(sizes.text_tokens, WIDTH, HIDDEN, chosen)},  # type: ignore[misc]
        )
        for name, options in _TRANSPORTS.items()
    },
    "fused": Case(lambda: FusedMatch(SIZES.text_global, WIDTH, HIDDEN), frozenset()),
    "fused, L2": Case(lambda: FusedMatch(SIZES.text_global, WIDTH, HIDDEN, "concat", "l2", False), frozenset()),
    "lexical": Case(lambda: _lexical(), frozenset({"text"})),
}


class Made(nn.Module):
    """A unit behind the heads that feed it, so that what is tested goes from features to scores."""

    def __init__(self, case: Case, sizes: Sizes = SIZES) -> None:
        super().__init__()
        torch.manual_seed(0)
        blocks = {} if sizes.image_global is None else case.blocks(sizes)
        self.heads = SharedHeads(sizes, WIDTH, nn.ModuleDict(blocks))
        self.unit = case.build()
        if hasattr(self.unit, "absent"):
            nn.init.constant_(self.unit.absent.constant, ABSENT)

    @property
    def absent(self) -> float:
        """What the unit answers for a pair that it cannot compare."""
        return ABSENT if hasattr(self.unit, "absent") else 0.0

    def forward(self, mentions: Features, entities: Features) -> Tensor:
        mention_heads: Heads = self.heads(mentions)
        entity_heads: Heads = self.heads(entities)
        return self.unit.score(self.unit.mention_side(mention_heads), self.unit.entity_side(entity_heads))


def _match_fusions(sizes: Sizes) -> dict[str, nn.Module]:
    widths = (sizes.text_global, sizes.text_tokens, WIDTH, HIDDEN, 5)
    return {"uni": MatchFusion(*widths, "tokens"), "bi": BiMatchFusion(*widths, "tokens")}


def _lexical() -> Lexical:
    unit = Lexical(buckets=2**12)
    unit.fit(["Guinea", "Guinea-Bissau", "Mali", "Congo"])
    return unit


def _whitened(reads: Pictured) -> Whitened:
    unit = Whitened(reads, SIZES.image_global if reads == "global" else None)
    unit.fit(features(60, seed=3), features(40, seed=4))
    return unit
