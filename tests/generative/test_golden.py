"""Embeddings, masks, labels, loss and every name's log-probability are those of the published code."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from generative import golden
from melder.generative import Blocks, from_official_mapper
from melder.records import MelderError


def test_names_have_the_published_tokens() -> None:
    names = golden.records()["names"]
    assert golden.language_model().name_tokens(names) == golden.records()["name_token_ids"]


@pytest.mark.parametrize("use", ["train", "eval"])
def test_embeddings_and_masks(use: str) -> None:
    continuations = golden.targets() if use == "train" else None
    padding = "right" if use == "train" else "left"
    batch = golden.model().embed(golden.prompts(), continuations, padding=padding)  # type: ignore[arg-type]
    expected = golden.tensors()
    torch.testing.assert_close(batch.embeds, expected[f"{use}/inputs_embeds"], atol=1e-5, rtol=0)
    assert torch.equal(batch.mask, expected[f"{use}/attention_mask"])


def test_labels_and_loss() -> None:
    model, expected = golden.model(), golden.tensors()
    batch = model.embed(golden.prompts(), golden.targets(), padding="right")
    assert batch.labels is not None
    assert torch.equal(batch.labels, expected["train/labels"])
    sums, counts = model(golden.prompts(), golden.targets())
    torch.testing.assert_close(-sums.sum() / counts.sum(), expected["train/loss"], atol=1e-5, rtol=0)


def test_the_loss_of_a_mention_is_the_same_alone_and_in_a_batch() -> None:
    """One mention alone computes logits for its answer only; a batch pads."""
    model, prompts, targets = golden.model(), golden.prompts(), golden.targets()
    together = model.loss(prompts, targets)
    alone = torch.cat([model.loss([p], [t]) for p, t in zip(prompts, targets, strict=True)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("at_once", [1, 2, 9])
def test_parts_by_length_add_up_to_the_mean_loss_and_its_gradient(at_once: int) -> None:
    """Prompts and names of different lengths, in an order that is not theirs."""
    model = copy.deepcopy(golden.model())
    prompts = [Blocks(p.blocks[-1 - n % 3 :]) for n, p in enumerate(golden.prompts())]
    model.loss(prompts, golden.targets()).mean().backward()
    expected = model.mapper.linear.weight.grad
    model.zero_grad()
    parts = list(model.part_losses(prompts, golden.targets(), at_once))
    torch.stack(parts).sum().backward()
    torch.testing.assert_close(torch.stack(parts).sum(), model.loss(prompts, golden.targets()).mean())
    torch.testing.assert_close(model.mapper.linear.weight.grad, expected, atol=1e-6, rtol=1e-4)
    assert len(parts) == math.ceil(len(prompts) / at_once)


def test_logits_are_computed_from_the_first_answer_on() -> None:
    model, kept = golden.model(), list[int]()
    hook = model.language_model.model.register_forward_hook(lambda *of: kept.append(of[2].logits.shape[1]))
    model.loss(golden.prompts()[:1], golden.targets()[:1])
    hook.remove()
    assert kept == [len(golden.targets()[0])]


def test_every_name_has_the_published_log_probability() -> None:
    model, tokens = golden.model(), golden.records()["name_token_ids"]
    for row, prompt in enumerate(golden.prompts()):
        with torch.inference_mode():
            sums, counts = model([prompt] * len(tokens), tokens)
        torch.testing.assert_close(sums, golden.tensors()["names/sum_logprob"][row], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(sums / counts, golden.tensors()["names/mean_logprob"][row], atol=1e-5, rtol=1e-5)


def test_only_the_mapper_has_gradients() -> None:
    model = golden.model().train()
    model.loss(golden.prompts(), golden.targets()).mean().backward()
    learning = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    width, images, tokens = (
        golden.language_model().width,
        golden.records()["clip_dim"],
        golden.records()["prefix_tokens"],
    )
    assert sum(learning.values()) == (images + 1) * tokens * width
    assert all(name.startswith("mapper.") for name in learning)
    assert all(p.grad is None for p in model.language_model.parameters())
    assert all(p.grad is not None and p.grad.any() for p in model.mapper.parameters())
    assert not any(module.training for module in model.language_model.modules())
    model.zero_grad()


def test_a_mapper_of_another_model_is_refused() -> None:
    state = {"weight": torch.zeros(64, 24), "bias": torch.zeros(64)}
    with pytest.raises(MelderError, match=r"makes 64 numbers .* 4 prefix tokens .* are 128 \(4 × 32\)"):
        from_official_mapper(state, golden.language_model(), 4)
    with pytest.raises(MelderError, match="holds weight and bias, not matrix"):
        from_official_mapper({"matrix": torch.zeros(1)}, golden.language_model())
