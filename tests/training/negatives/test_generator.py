"""The policy gradient against its closed form, and the parts of the generator's objective by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from melder.training.negatives.configuration import GeneratorConfiguration
from melder.training.negatives.generator import Generator, entropy, policy_loss, reward, warm_loss
from units.made import SIZES, features

MENTIONS, CANDIDATES, DRAWS = 3, 5, 200_000
ALL = torch.ones(MENTIONS, dtype=torch.bool)


def options(**changes: Any) -> GeneratorConfiguration:
    return GeneratorConfiguration(hidden=8, **changes)


def made(**changes: Any) -> Generator:
    torch.manual_seed(0)
    return Generator(SIZES, options(**changes))


def policies(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits [m, k] and the reward of every candidate [m, k]."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(MENTIONS, CANDIDATES, generator=draw), torch.randn(MENTIONS, CANDIDATES, generator=draw)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_the_mean_gradient_of_many_draws_is_the_closed_form(temperature: float, baseline: float) -> None:
    """dJ/du_j = p_j (r_j - sum_k p_k r_k) / temperature, whatever the baseline."""
    u, rewards = policies()
    u.requires_grad_()
    p = (u / temperature).softmax(dim=1).detach()
    closed = p * (rewards - (p * rewards).sum(dim=1, keepdim=True)) / temperature
    chosen = torch.multinomial(p, DRAWS, replacement=True, generator=torch.Generator().manual_seed(1))
    drawn = rewards.gather(1, chosen) - baseline
    (gradient,) = torch.autograd.grad(policy_loss((u / temperature).log_softmax(dim=1), chosen, drawn, ALL), u)
    # One draw's gradient is (r - b) (1[j] - p_j) / temperature: its deviation by the closed form of its moments.
    deviations = (torch.eye(CANDIDATES)[None] - p[:, None, :]) * (rewards[:, :, None] - baseline) / temperature
    variance = (p[:, :, None] * deviations.square()).sum(dim=1) - closed.square()
    error = (-MENTIONS * gradient - closed).abs() / (variance / DRAWS).sqrt()
    assert float(error.max()) < 5  # standard errors


def test_mentions_without_candidates_move_nothing() -> None:
    u, rewards = policies()
    u.requires_grad_()
    counts = torch.tensor([True, False, True])
    loss = policy_loss(u.log_softmax(dim=1), torch.zeros(MENTIONS, 1, dtype=torch.long), rewards[:, :1], counts)
    (gradient,) = torch.autograd.grad(loss, u)
    assert gradient[[0, 2]].any(dim=1).all()
    assert not gradient[1].any()


def test_entropy_counts_only_candidates() -> None:
    log_p = torch.tensor([[0.0, 0.0, -math.inf], [0.0, -math.inf, -math.inf]]).log_softmax(dim=1).requires_grad_()
    found = entropy(log_p, torch.tensor([True, True]))
    assert torch.allclose(found, torch.tensor(math.log(2) / 2))
    found.backward()
    assert torch.isfinite(log_p.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("score", [2.0, -1.0]),
        ("hinge", [1.5, 0.0]),
        ("softplus", [math.log1p(math.exp(2.0)), math.log1p(math.exp(-1.0))]),
    ],
)
def test_rewards_are_what_they_are_called(kind: str, expected: list[float]) -> None:
    found = reward(options(reward=kind, margin=0.5), torch.tensor([[2.0, -1.0]]), torch.tensor([1.0]))
    assert torch.allclose(found, torch.tensor([expected]))


def test_the_baseline_is_the_moving_mean_of_earlier_batches() -> None:
    generator = made(baseline_decay=0.9, standardise=False)
    batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[4.0], [8.0]]), torch.tensor([[0.0], [2.0]])]
    before = [2.0, 2.0, 0.9 * 2.0 + 0.1 * 6.0]
    for rewards, baseline in zip(batches, before, strict=True):
        assert torch.allclose(generator.advantage(rewards, rewards), rewards - baseline)
    assert torch.allclose(generator.baseline, torch.tensor(0.9 * before[2] + 0.1 * 1.0))


def test_standardised_rewards_do_not_depend_on_their_scale() -> None:
    one, other = made(), made()
    for rewards in (torch.tensor([[1.0], [3.0]]), torch.tensor([[4.0], [8.0]])):
        assert torch.allclose(one.advantage(rewards, rewards), other.advantage(10 * rewards, 10 * rewards))
    equal = torch.full((2, 1), 5.0)
    assert torch.isfinite(one.advantage(equal, equal)).all()


def test_before_the_game_it_learns_to_find_the_gold_entity() -> None:
    gold, logits = torch.tensor([1.0, 2.0]), torch.tensor([[0.0, -math.inf], [1.0, 3.0]])
    expected = (-math.log(math.e / (math.e + 1)) - math.log(math.e**2 / (math.e**2 + math.e + math.e**3))) / 2
    assert torch.allclose(warm_loss(gold, logits, torch.tensor([True, True])), torch.tensor(expected))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_cosines_and_inner_products_are_as_the_formulas_say(temperature: float) -> None:
    given = features(4, seed=1)
    for similarity in ("cosine", "dot"):
        generator = made(similarity=similarity, temperature=temperature)
        raw = generator.fuse(generator.heads(given))
        vectors = raw / raw.norm(dim=1, keepdim=True) if similarity == "cosine" else raw / 8**0.25
        found = generator.logits(generator(given)[:2], generator(given)[None, 2:].expand(2, -1, -1))
        assert torch.allclose(found, vectors[:2] @ vectors[2:].t() / temperature, atol=1e-5)
