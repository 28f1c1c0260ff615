"""Late interaction (ColBERT, Khattab and Zaharia 2020) with one more vector an item, by which candidates are found.

    s(m, e) = <v_m, v_e> + mean over the mention's tokens t of max over the entity's tokens u of <t, u>

Everything is one component: there are no units, and no mean of any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.features import Features, Heads, Scores, Side, Sizes
from melder.methods.losses import Batch, cross_entropy
from melder.methods.method import MatchingMethod
from melder.protocols import SideTensor, Unit

NAME = "late"
SCALE = 10.0  # of cosines, for the softmax of the loss


class LateConfiguration(BaseModel):
    """How wide tokens and vectors are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["late"] = "late"
    width: PositiveInt = 24


class LateHeads(nn.Module):
    """Text and picture tokens in one space, with one mask; and the vector of both."""

    def __init__(self, sizes: Sizes, width: int) -> None:
        super().__init__()
        self.text = nn.Linear(sizes.text_tokens, width)
        self.image = None if sizes.image_tokens is None else nn.Linear(sizes.image_tokens, width)

    def forward(self, features: Features) -> Heads:
        tokens, mask = self.text(features.text_tokens), features.text_mask
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        if self.image is not None and features.image_tokens is not None:
            patches = self.image(features.image_tokens)
            tokens = torch.cat([tokens, patches], dim=1)
            mask = torch.cat([mask, features.has_image[:, None].expand(-1, patches.shape[1])], dim=1)
        tokens = normalize(tokens, dim=-1) * mask[..., None]
        vector = tokens.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        empty = Heads(**{name: getattr(features, name) for name in Features.__dataclass_fields__})
        return replace(empty, text_global=vector, text_tokens=tokens, text_mask=mask)


class LateMatcher(nn.Module):
    """Fulfils `melder.protocols.Matcher`. Sides: `late.vector` [n, d], `late.tokens` [n, L, d], `late.mask` [n, L]."""

    has_bounds = False
    lexical = None
    pictures = 1
    weighted = False
    gate = None
    entity_tensors: Mapping[str, SideTensor] = {
        f"{NAME}.vector": SideTensor(),
        f"{NAME}.tokens": SideTensor(tokens=f"{NAME}.mask"),
        f"{NAME}.mask": SideTensor(tokens=f"{NAME}.mask"),
    }

    def __init__(self, heads: LateHeads) -> None:
        super().__init__()
        self.heads = heads
        self.scale = nn.Parameter(torch.tensor(SCALE))

    def mention_side(self, features: Features) -> Side:
        return self.mention_side_of(self.heads(features))

    def entity_side(self, features: Features) -> Side:
        return self.entity_side_of(self.heads(features))

    def mention_side_of(self, heads: Features) -> Side:
        assert heads.text_mask is not None  # `LateHeads` always makes one
        return Side(
            {f"{NAME}.vector": heads.text_global, f"{NAME}.tokens": heads.text_tokens, f"{NAME}.mask": heads.text_mask}
        )

    entity_side_of = mention_side_of

    def score(self, mentions: Side, entities: Side, cosines: Tensor | None = None) -> Scores:
        m, e = mentions.part(NAME), entities.part(NAME)
        products = torch.einsum("mld,ekd->melk", m["tokens"].float(), e["tokens"].float())
        best = products.masked_fill(~e["mask"].bool()[None, :, None], -1.0).amax(dim=3)
        mask = m["mask"].float()
        late = (best * mask[:, None]).sum(dim=2) / mask.sum(dim=1).clamp(min=1)[:, None]
        total = self.scale * (self.mention_vectors(mentions) @ self.entity_vectors(entities).t() / self.scale + late)
        return Scores(total, {NAME: total})

    def contributions(self, scores: Scores) -> dict[str, Tensor]:
        return scores.parts

    def losses(self, batch: Batch, scores: Scores) -> dict[str, Tensor]:
        return {"total": cross_entropy(scores.total, batch)}

    def names_in_use(self, *, lexical: bool = False) -> tuple[str, ...]:
        return (NAME,)

    def units_in_use(self) -> list[tuple[str, Unit]]:
        return []

    def set_unit_weights(self, weights: Mapping[str, float]) -> None:
        raise NotImplementedError("it has no units")

    def name_weights(self, mentions: Side) -> Tensor:
        raise NotImplementedError("it compares no names")

    def mention_vectors(self, side: Side) -> Tensor:
        return self.scale * side[f"{NAME}.vector"].float()

    def entity_vectors(self, side: Side) -> Tensor:
        return side[f"{NAME}.vector"].float()

    def mention_bounds(self, side: Side) -> Tensor:
        raise NotImplementedError("it has no bounds")

    entity_bounds = mention_bounds


def build_late(configuration: Any, sizes: Sizes) -> LateMatcher:
    return LateMatcher(LateHeads(sizes, configuration.width))


METHOD = MatchingMethod(LateConfiguration, build_late, summary="late interaction, and a vector to find candidates by")
