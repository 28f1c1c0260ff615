"""GEMEL's training step, written down again with transformers alone: loss, gradient and mapper after AdamW."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from generative import golden
from melder.training.configuration import TrainingConfiguration
from melder.training.loop.optimizer import build_optimizer
from published.restated import adamw

BEGINNING = END = 2
RATE, EPSILON, DECAY = 1e-3, 1e-2, 1e-2
QUESTION = "[Text]{}\n[Question]What does {} mentioned in the text refer to?\n[Answer]"


class Published:
    """Batches of one mention, of which several make a step: nothing is padded."""

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(golden.DIRECTORY / "tiny_opt")
        self.model = AutoModelForCausalLM.from_pretrained(golden.DIRECTORY / "tiny_opt").eval().requires_grad_(False)
        state = golden.tensors()
        self.weight, self.bias = (state[f"mapper/{name}"].clone().requires_grad_() for name in ("weight", "bias"))

    def step(self) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
        """The mean loss, the gradients, and the mapper after the step."""
        losses = [self._loss(query) for query in golden.records()["queries"]]
        loss = torch.stack(losses).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        tensors = {"linear.weight": self.weight, "linear.bias": self.bias}
        gradients = {name: t.grad for name, t in tensors.items() if t.grad is not None}
        decay = {"linear.weight": DECAY, "linear.bias": 0.0}
        after = {n: adamw(t.detach(), gradients[n], RATE, EPSILON, decay[n]) for n, t in tensors.items()}
        return loss.item(), gradients, after

    def _loss(self, query: int) -> Tensor:
        examples = golden.records()["examples"]
        blocks = [self._block(examples[number], examples[number]["target"] + "\n") for number in self._shown()]
        target = [*self._tokens(examples[query]["target"]), END]
        embedded = self.model.get_input_embeddings()(torch.tensor(target))
        inputs = torch.cat([*blocks, self._block(examples[query], ""), embedded])
        logits = self.model(inputs_embeds=inputs[None]).logits[0, -len(target) - 1 : -1]
        return cross_entropy(logits, torch.tensor(target))

    def _shown(self) -> list[int]:
        return list(golden.records()["demonstrations"])

    def _block(self, example: dict[str, Any], answer: str) -> Tensor:
        picture = golden.tensors()["images"][example["image"]]
        prefix = (self.weight @ picture + self.bias).view(golden.records()["prefix_tokens"], -1)
        tokens = self._tokens(QUESTION.format(example["text"], example["mention"]) + answer)
        return torch.cat([prefix, self.model.get_input_embeddings()(torch.tensor(tokens))])

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text)["input_ids"]
        return ids[1:] if ids[0] == BEGINNING else ids


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_step_is_the_published_one(at_once: int) -> None:
    model = copy.deepcopy(golden.model()).train()
    training = TrainingConfiguration(learning_rate=RATE, epsilon=EPSILON, weight_decay=DECAY)
    optimizer = build_optimizer(model, training)
    total = 0.0
    for loss in model.part_losses(golden.prompts(), golden.targets(), at_once):
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    gradients = {name: parameter.grad for name, parameter in model.mapper.named_parameters()}
    optimizer.step()
    expected, expected_gradients, after = Published().step()
    assert total == pytest.approx(expected, abs=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    for name, parameter in model.mapper.named_parameters():
        torch.testing.assert_close(gradients[name], expected_gradients[name], atol=2e-6, rtol=1e-4)
        torch.testing.assert_close(parameter.detach(), after[name], atol=1e-6, rtol=0)
