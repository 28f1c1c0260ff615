"""Units that say which tokens they matched: their scores are built on what they say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from melder.features import Alignment, Side
from melder.ops.masks import masked_mean
from melder.units.global_local import GlobalLocal
from melder.units.transport_local import OTGlobalLocal
from rounding import close
from units.cases import CASES, Made
from units.made import TERMS, features, padded

ALIGNERS = [name for name, case in CASES.items() if case.build().aligns]


def _aligned(name: str) -> tuple[Made, Side, Side, Alignment]:
    made = Made(CASES[name])
    mentions, entities = features(4, seed=3), features(5, seed=4, length=8)
    sides = made.unit.mention_side(made.heads(mentions)), made.unit.entity_side(made.heads(entities))
    return made, *sides, made.unit.align(*sides)


def test_units_that_compare_tokens_align() -> None:
    assert all(name.split(",")[0].split()[0] in ("text", "image") for name in ALIGNERS)
    assert {type(CASES[name].build()) for name in ALIGNERS} == {GlobalLocal, OTGlobalLocal}


@pytest.mark.parametrize("name", ALIGNERS)
def test_weights_sum_to_one_over_the_valid_tokens_of_the_mention(name: str) -> None:
    _, mentions, entities, alignment = _aligned(name)
    lengths = entities["query"].shape[1], mentions["key"].shape[1]
    assert alignment.weights.shape == alignment.logits.shape == (4, 5, *lengths)
    assert close(alignment.weights.sum(dim=-1), torch.ones(4, 5, lengths[0]), TERMS)
    if "mask" in mentions:
        assert not alignment.weights.permute(0, 3, 1, 2)[~mentions["mask"]].any()


@pytest.mark.parametrize("name", ALIGNERS)
def test_logits_are_scaled_inner_products(name: str) -> None:
    _, mentions, entities, alignment = _aligned(name)
    expected = entities["query"][2] @ mentions["key"][1].t() / mentions["key"].shape[-1] ** 0.5
    assert close(alignment.logits[1, 2], expected, TERMS)


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", [name for name in ALIGNERS if isinstance(CASES[name].build(), GlobalLocal)])
def test_the_score_is_what_follows_from_the_alignment(name: str, grad: bool) -> None:
    made, mentions, entities, alignment = _aligned(name)
    with torch.set_grad_enabled(grad):
        scores = made.unit.score(mentions, entities)
    expected = [[_score(made, alignment, mentions, entities, m, e) for e in range(5)] for m in range(4)]
    assert close(scores, torch.stack([torch.stack(row) for row in expected]), TERMS)


def test_padding_gets_no_weight() -> None:
    made = Made(CASES["text"])
    mentions, entities = padded(features(4, seed=3)), features(5, seed=4)
    alignment = made.unit.align(
        made.unit.mention_side(made.heads(mentions)), made.unit.entity_side(made.heads(entities))
    )
    assert not alignment.weights[..., -3:].any()


@pytest.mark.parametrize("name", ALIGNERS)
def test_sides_of_half_precision_align(name: str) -> None:
    made, mentions, entities, alignment = _aligned(name)
    half = made.unit.align(mentions, entities.to(torch.float16))
    assert torch.allclose(half.weights, alignment.weights, atol=1e-2)


def _score(made: Made, alignment: Alignment, mentions: Side, entities: Side, m: int, e: int) -> Tensor:
    """(<m, e> + <target, LayerNorm(mean context)>) / 2 of one pair."""
    context = (alignment.weights[m, e] @ mentions["value"][m])[None]
    mask = entities["mask"][e : e + 1] if "mask" in entities else None
    norm = made.unit.norm
    local = layer_norm(masked_mean(context, mask)[0], (context.shape[-1],), norm.weight, norm.bias, norm.eps)
    return (mentions["global"][m] @ entities["global"][e] + local @ entities["target"][e]) / 2
