"""One step of training: losses, every gradient, and every weight after AdamW, as the published equations have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from melder.features import Features
from melder.methods.losses import Batch
from melder.methods.matcher import UnitMatcher
from melder.training.configuration import TrainingConfiguration
from melder.training.loop.optimizer import build_optimizer
from methods.golden import Golden, read_golden
from published import restated
from published.restated import Item, State

STEPS: dict[str, Callable[[State, Item, Item], dict[str, Tensor]]] = {
    "mimic": restated.mimic,
    "m3el_uni": restated.m3el_uni,
    "m3el_bi": restated.m3el_bi,
    "otmel": restated.ot_mel,
}
NAMES = ("text_cls", "text_tokens", "image_cls", "image_tokens")
RATE, EPSILON, DECAY = 1e-3, 0.1, 1e-4  # so large an epsilon that the step is a smooth function of the gradient
PAIRS, TOKENS, PATCHES = 6, 9, 4
CLOSE = 2e-5  # of the largest number of a tensor's kind, in float32


@pytest.fixture(params=STEPS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(golden: Golden, seed: int) -> Item:
    """An item's tensors of the widths of the golden weights, and of lengths of our own; the last has no picture."""
    draw = torch.Generator().manual_seed(seed)
    width = {name: golden.tensors[f"clip/entity/{name}"].shape[-1] for name in NAMES}
    lengths = {"text_tokens": (TOKENS,), "image_tokens": (PATCHES,)}
    item = {n: torch.randn(PAIRS, *lengths.get(n, ()), width[n], generator=draw) for n in NAMES}
    item |= {n: nn.functional.normalize(item[n], dim=-1) for n in ("text_cls", "image_cls")}
    item["image_cls"][-1] = item["image_tokens"][-1] = 0
    return item


def published_step(name: str, golden: Golden) -> tuple[dict[str, Tensor], State, State]:
    """Losses, gradients and weights after the step, in float64 and under the official names."""
    weights = {n: t.double().requires_grad_() for n, t in golden.state.items()}
    sides = [{n: tensor.double() for n, tensor in made(golden, seed).items()} for seed in (1, 2)]
    losses = STEPS[name](weights, *sides)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {n: torch.zeros_like(t) if t.grad is None else t.grad for n, t in weights.items()}
    after = {
        n: restated.adamw(t.detach(), gradients[n], RATE, EPSILON, 0.0 if n.endswith("bias") else DECAY)
        for n, t in weights.items()
    }
    return {n: loss.detach() for n, loss in losses.items()}, gradients, after


def melders_step(golden: Golden) -> tuple[dict[str, Tensor], UnitMatcher, torch.optim.Optimizer]:
    matcher = golden.matcher()  # in evaluation mode: without dropout
    entities, mentions = (matcher.heads(Features(*made(golden, seed).values())) for seed in (1, 2))
    batch = Batch(mentions, entities, torch.arange(PAIRS), torch.zeros(1, 1, dtype=torch.bool))
    scores = matcher.score(matcher.mention_side_of(mentions), matcher.entity_side_of(entities))
    losses = matcher.losses(batch, scores)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    training = TrainingConfiguration(learning_rate=RATE, epsilon=EPSILON, weight_decay=DECAY)
    losses = {n: loss.detach() for n, loss in losses.items()}
    return losses, matcher, build_optimizer(_Held(matcher), training)


class _Held(nn.Module):
    """A matcher under the name that a model has it under."""

    def __init__(self, matcher: nn.Module) -> None:
        super().__init__()
        self.matcher = matcher


def under_our_names(golden: Golden, state: State) -> dict[str, Tensor]:
    """Tensors of the official names under Melder's; the number of pooling heads is read off one of them."""
    heads = {n: t for n, t in golden.state.items() if "multi_head_module" in n}
    return golden.matcher({n: t.float() for n, t in state.items()} | heads).state_dict()


def far(found: Tensor, expected: Tensor, size: float) -> float:
    return float((found.double() - expected.double()).abs().max()) / size


def test_losses(name: str) -> None:
    golden = read_golden(name)
    expected, found = published_step(name, golden)[0], melders_step(golden)[0]
    assert len(found) == len(expected)
    for ours, theirs in zip(_in_order(found), expected.values(), strict=True):
        assert far(ours, theirs, float(max(expected.values()))) < CLOSE


def test_every_gradient(name: str) -> None:
    golden = read_golden(name)
    _, gradients, _ = published_step(name, golden)
    expected = under_our_names(golden, gradients)
    size = max(float(gradient.abs().max()) for gradient in gradients.values())
    for layer, parameter in melders_step(golden)[1].named_parameters():
        if not layer.endswith("absent.constant"):  # Melder's own, without use in published mode
            found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            assert far(found, expected[layer], size) < CLOSE, layer


def test_every_weight_after_a_step(name: str) -> None:
    """The published recipe also decays the weights of LayerNorms, by rate times decay: 1e-7 of them."""
    golden = read_golden(name)
    _, gradients, after = published_step(name, golden)
    expected = under_our_names(golden, after)
    size = max(float(gradient.abs().max()) for gradient in gradients.values())
    bound = RATE * CLOSE * size / EPSILON + 1e-6  # d step / d gradient is rate / epsilon at most; and float32
    assert bound < RATE / 5
    _, matcher, optimizer = melders_step(golden)
    optimizer.step()
    for layer, parameter in matcher.named_parameters():
        if not layer.endswith("absent.constant"):
            assert far(parameter.detach(), expected[layer], 1.0) < bound, layer


def test_the_restatement_is_that_of_the_published_modules(name: str) -> None:
    """Their own numbers: the restatement is held against them, not against Melder."""
    golden = read_golden(name)
    pairs = golden.pairs
    sides = [{n: golden.tensors[f"clip/{side}/{n}"][:pairs].double() for n in NAMES} for side in ("entity", "mention")]
    losses = STEPS[name]({n: t.double() for n, t in golden.state.items()}, *sides)
    for loss, value in losses.items():
        assert far(value, golden.tensors[f"loss/{loss}"], float(golden.tensors["loss/overall"])) < CLOSE, loss


def _in_order(losses: dict[str, Any]) -> list[Tensor]:
    """As the published code adds them: the total, the units, the contrastive loss."""
    return [losses["total"], *(value for name, value in losses.items() if name not in ("total", "contrastive"))] + (
        [losses["contrastive"]] if "contrastive" in losses else []
    )
