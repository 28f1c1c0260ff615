"""The policy gradient against its closed form, and the parts of the generator's objective by hand."""

from __future__ import annotations

import copy
import itertools
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


def test_the_moving_baseline_is_the_mean_of_earlier_batches() -> None:
    generator = made(baseline="moving", baseline_decay=0.9)
    batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[4.0], [8.0]]), torch.tensor([[0.0], [2.0]])]
    before = [0.0, 2.0, 0.9 * 2.0 + 0.1 * 6.0]
    for rewards, baseline in zip(batches, before, strict=True):
        assert torch.allclose(generator.advantage(rewards, ALL[:2]), rewards - baseline)
    assert torch.allclose(generator.baseline, torch.tensor(0.9 * before[2] + 0.1 * 1.0))


def test_a_draw_is_compared_with_the_others_of_its_mention() -> None:
    found = made().advantage(torch.tensor([[1.0, 3.0, 8.0], [5.0, 5.0, 5.0]]), ALL[:2])
    assert torch.allclose(found, torch.tensor([[1 - 5.5, 3 - 4.5, 8 - 2.0], [0.0, 0.0, 0.0]]))


def test_a_mentions_only_draw_is_compared_with_those_of_the_others() -> None:
    found = made().advantage(torch.tensor([[1.0], [3.0], [8.0]]), ALL)
    assert torch.allclose(found, torch.tensor([[1 - 5.5], [3 - 4.5], [8 - 2.0]]))


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("baseline", ["leave_one_out", "moving"])
def test_the_gradient_is_unbiased_however_few_the_draws(baseline: str, draws: int) -> None:
    """Its mean over all possible batches, each as probable as it is, is the closed form, whatever came before."""
    generator, (u, rewards) = made(baseline=baseline), policies()
    u, rewards = u[:2, :3].double().requires_grad_(), rewards[:2, :3].double()
    generator.advantage(torch.tensor([[7.0]]), ALL[:1])  # an earlier batch moves the moving mean
    earlier = copy.deepcopy(generator.state_dict())
    p = u.softmax(dim=1).detach()
    mean = torch.zeros_like(u)
    for drawn in itertools.product(range(3), repeat=2 * draws):
        generator.load_state_dict(earlier)
        chosen = torch.tensor(drawn).view(2, draws)
        advantage = generator.advantage(rewards.gather(1, chosen), ALL[:2])
        loss = policy_loss(u.log_softmax(dim=1), chosen, advantage, ALL[:2])
        mean += p.gather(1, chosen).prod() * torch.autograd.grad(loss, u)[0]
    closed = p * (rewards - (p * rewards).sum(dim=1, keepdim=True)) / -2
    torch.testing.assert_close(mean, closed, atol=1e-7, rtol=0)  # the moving mean is float32


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("baseline", ["leave_one_out", "moving"])
@pytest.mark.parametrize(
    "rewards", [[[5.0]], [[5.0], [5.0]], [[0.0, 0.0]], [[5.0, 5.0 + 1e-6]], [[0.0], [0.0], [1e-7]]]
)
def test_equal_rewards_move_the_generator_no_further_than_others(
    rewards: list[list[float]], baseline: str, standardise: bool
) -> None:
    """One mention with one negative, or no hinge that is active: an advantage of 86,000 had stalled Adam for long."""
    generator = made(baseline=baseline, standardise=standardise)
    generator.advantage(torch.tensor([[5.1], [4.8]]), ALL[:2])
    given = torch.tensor(rewards)
    found = generator.advantage(given, ALL[:1].expand(len(given)))
    assert torch.isfinite(found).all()
    assert found.abs().max() <= (math.sqrt(given.numel()) + 1e-4 if standardise else 5.1)


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("baseline", ["leave_one_out", "moving"])
@pytest.mark.parametrize("standardise", [False, True])
def test_mentions_without_candidates_are_in_no_mean(draws: int, baseline: str, standardise: bool) -> None:
    """Their rewards are of nothing that was drawn."""
    alone, beside = (made(baseline=baseline, standardise=standardise) for _ in range(2))
    rewards = torch.tensor([[1.0, 3.0], [4.0, 9.0]])[:, :draws]
    strange = torch.full((1, draws), 1e6)
    for _ in range(2):
        expected = alone.advantage(rewards, ALL[:2])
        found = beside.advantage(torch.cat([strange, rewards]), torch.tensor([False, True, True]))
        assert torch.allclose(found[1:], expected)
        assert not found[0].any()
    assert torch.equal(alone.baseline, beside.baseline)
    nothing = beside.advantage(strange, torch.tensor([False]))
    assert not nothing.any()
    assert torch.equal(alone.baseline, beside.baseline)


def test_standardised_rewards_do_not_depend_on_their_scale() -> None:
    one, other = made(standardise=True), made(standardise=True)
    for rewards in (torch.tensor([[1.0, 2.0], [3.0, 7.0]]), torch.tensor([[4.0, 4.0], [8.0, 5.0]])):
        found = one.advantage(rewards, ALL[:2])
        assert torch.allclose(found, other.advantage(10 * rewards, ALL[:2]))
        assert torch.allclose(found.square().mean(), torch.tensor(1.0))


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
