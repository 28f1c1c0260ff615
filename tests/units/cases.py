"""One case a unit, which `test_every_unit.py` puts through everything that a unit promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from melder.features import Features, Heads, Sizes
from melder.methods.heads import SharedHeads
from melder.units.cross import BiMatchFusion, MatchFusion
from melder.units.global_local import GlobalLocal
from melder.units.inner_product import InnerProduct
from melder.units.lexical import Lexical
from units.made import SIZES

WIDTH, HIDDEN = 7, 8  # of pictures after the heads, of units
ABSENT = 0.375  # a value for the learned constant that no score has by chance


@dataclass(frozen=True)
class Case:
    """A unit, and the modalities that a pair must have on both sides for it to compare them."""

    build: Callable[[], nn.Module]
    reads: frozenset[str]


CASES: dict[str, Case] = {
    "text": Case(lambda: GlobalLocal("text", SIZES.text_global, SIZES.text_tokens, HIDDEN), frozenset({"text"})),
    "image": Case(lambda: GlobalLocal("image", WIDTH, WIDTH, HIDDEN), frozenset({"image"})),
    "cross": Case(lambda: InnerProduct("cross"), frozenset({"text", "image"})),
    "text_to_image": Case(lambda: InnerProduct("text_to_image"), frozenset({"text", "image"})),
    "image_to_text": Case(lambda: InnerProduct("image_to_text"), frozenset({"text", "image"})),
    "lexical": Case(lambda: _lexical(), frozenset({"text"})),
}


class Made(nn.Module):
    """A unit behind the heads that feed it, so that what is tested goes from features to scores."""

    def __init__(self, case: Case, sizes: Sizes = SIZES) -> None:
        super().__init__()
        torch.manual_seed(0)
        fusions = {} if sizes.image_global is None else {"uni": MatchFusion, "bi": BiMatchFusion}
        widths = (sizes.text_global, sizes.text_tokens, WIDTH, HIDDEN, 5)
        blocks = nn.ModuleDict({name: block(*widths, "tokens") for name, block in fusions.items()})
        self.heads = SharedHeads(sizes, WIDTH, blocks)
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


def _lexical() -> Lexical:
    unit = Lexical(buckets=2**12)
    unit.fit(["Guinea", "Guinea-Bissau", "Mali", "Congo"])
    return unit
