"""The building blocks of M3EL's cross-modal matching, against their formulas written out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from melder.units.match import POOLING_TEMPERATURES, GatedFusion, Match, MultiHeadPooling
from rounding import close
from units.made import TERMS

HIDDEN = 6
ROWS = torch.randn(3, 5, HIDDEN, generator=torch.Generator().manual_seed(0))
OTHER = torch.randn(3, 4, HIDDEN, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[True, True, False, False], [True, True, True, True], [False, True, False, True]])


@pytest.fixture
def match() -> Match:
    torch.manual_seed(0)
    return Match(HIDDEN)


def test_match_attends_through_its_layer_to_what_it_did_not_project(match: Match) -> None:
    found = match(ROWS, OTHER)
    for item in range(3):
        for row in range(5):
            weights = (match.linear(OTHER[item]) @ ROWS[item, row]).softmax(dim=0)
            assert close(found[item, row], match.linear(weights @ OTHER[item]).relu(), TERMS)


def test_match_with_one_key_says_the_same_whoever_asks(match: Match) -> None:
    found = match(ROWS, OTHER[:, :1])
    assert close(found, match.linear(OTHER[:, :1]).relu().expand_as(found), TERMS)


def test_match_leaves_masked_keys_out(match: Match) -> None:
    found = match(ROWS, OTHER, MASK)
    for item in range(3):
        alone = match(ROWS[item : item + 1], OTHER[item : item + 1, MASK[item]])
        assert close(found[item], alone[0], TERMS)


def test_match_of_nothing_is_finite(match: Match) -> None:
    keys = OTHER.clone().requires_grad_()
    found = match(ROWS, keys, torch.zeros_like(MASK))
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert keys.grad is not None
    assert torch.isfinite(keys.grad).all()


def test_pooling_adds_the_heads_mean_to_the_mean() -> None:
    sharp = [(ROWS * (t * ROWS).softmax(dim=1)).sum(dim=1) for t in (2, 2.5, 3.5, 4.5)]
    heads = torch.stack([*sharp, ROWS.amax(dim=1)]).mean(dim=0)
    assert close(MultiHeadPooling()(ROWS), ROWS.mean(dim=1) + heads, TERMS)


def test_temperature_99_is_the_maximum() -> None:
    assert torch.allclose(MultiHeadPooling([99])(ROWS), ROWS.mean(dim=1) + ROWS.amax(dim=1))
    nearly = MultiHeadPooling([98])(100 * ROWS)
    assert torch.allclose(MultiHeadPooling([99])(100 * ROWS), nearly, atol=1e-3)


def test_share_scales_what_the_heads_add() -> None:
    heads = MultiHeadPooling()(ROWS) - ROWS.mean(dim=1)
    assert close(MultiHeadPooling(share=0.5)(ROWS), ROWS.mean(dim=1) + 0.5 * heads, TERMS)


@given(st.sampled_from(sorted(POOLING_TEMPERATURES)))
def test_rows_that_are_all_the_same_come_out_doubled(heads: int) -> None:
    same = ROWS[:, :1].expand(3, 5, HIDDEN)
    assert close(MultiHeadPooling(POOLING_TEMPERATURES[heads])(same), 2 * ROWS[:, 0], TERMS)


def test_pooling_leaves_masked_rows_out() -> None:
    found = MultiHeadPooling()(OTHER, MASK)
    for item in range(3):
        alone = MultiHeadPooling()(OTHER[item : item + 1, MASK[item]])
        assert close(found[item], alone[0], TERMS)


def test_pooling_nothing_is_finite() -> None:
    rows = OTHER.clone().requires_grad_()
    found = MultiHeadPooling()(rows, torch.zeros_like(MASK))
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


def test_pooling_has_nothing_to_learn() -> None:
    assert not list(MultiHeadPooling().parameters())


def test_as_many_temperatures_as_heads() -> None:
    assert all(len(temperatures) == heads for heads, temperatures in POOLING_TEMPERATURES.items())


def test_fusion_is_a_gated_mean() -> None:
    torch.manual_seed(0)
    fusion, p, q = GatedFusion(HIDDEN), ROWS[:, 0], ROWS[:, 1]
    gate = torch.sigmoid(fusion.linear(p) + fusion.linear(q))
    assert torch.allclose(fusion(p, q), gate * p + (1 - gate) * q)
    assert close(fusion(p, p), p, TERMS)
