"""What stands before a prompt's first picture is read once, and the loss and its gradients are what they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from generative import tiny
from melder.generative import GenerativeModel, prompt_heads
from melder.generative.mapper import LinearMapper
from melder.generative.prompt import Block, Blocks

ANSWERS = [[11, 12, 0], [13, 0], [14, 15, 16, 0], [11, 0]]


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_losses_and_gradients_are_those_of_whole_prompts(kind: str) -> None:
    """Heads of different lengths, none among them, and one twice, with a second picture behind."""
    model = _model(kind)
    whole = _losses(model, reuse=False)
    for part, expected in zip(_losses(model, reuse=True), whole, strict=True):
        torch.testing.assert_close(part, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(torch.stack(list(model.part_losses(_prompts(), ANSWERS, 3))).sum(), whole[0].mean())


def test_a_head_is_read_once() -> None:
    model, read = _model("llama"), list[int]()
    hook = model.language_model.model.register_forward_pre_hook(
        lambda module, arguments, named: read.append(len(named["input_ids"])) if "input_ids" in named else None,
        with_kwargs=True,
    )
    with torch.inference_mode():  # as a look at the selection set reads; training goes on with what was read
        model.loss(_prompts(), ANSWERS)
    model.loss(_prompts(), ANSWERS).sum().backward()  # type: ignore[no-untyped-call]
    hook.remove()
    assert read == [2]  # two different heads


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model("llama")
    expected = model.loss(_prompts(), ANSWERS)
    monkeypatch.setattr(prompt_heads, "MOST", 1)
    torch.testing.assert_close(model.loss(_prompts(), ANSWERS), expected)
    assert not model._heads._read


def test_nothing_is_kept_of_a_language_model_that_learns() -> None:
    model = _model("llama")
    next(model.language_model.model.parameters()).requires_grad_(True)
    model.loss(_prompts(), ANSWERS)
    assert not model._heads._read


def _model(kind: str) -> GenerativeModel:
    language_model = tiny.KINDS[kind]()
    return GenerativeModel(language_model, LinearMapper(3, 2, language_model.width))


def _prompts() -> list[Blocks]:
    pictures = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    question, other = Block([3, 4, 5, 6], pictures[0], 3), Block([7, 8], pictures[1], 1)
    return [
        Blocks([question]),
        Blocks([other, Block([9, 10], pictures[2], 1)]),
        Blocks([Block([9, 10], pictures[3])]),
        Blocks([Block([3, 4, 5], None, 3)]),
    ]


def _losses(model: GenerativeModel, *, reuse: bool) -> list[Tensor]:
    """The loss of each mention, and the gradients of the mapper."""
    model.zero_grad()
    model._heads.supported = reuse
    losses = model.loss(_prompts(), ANSWERS)
    losses.mean().backward()  # type: ignore[no-untyped-call]
    return [losses.detach(), *(p.grad for p in model.mapper.parameters() if p.grad is not None)]
