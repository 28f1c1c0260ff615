"""`lm:compact`: a small causal language model that learns from a data set's own texts, in minutes, on one core.

It reads three kinds of text: entities (`name. description`), and prompts with and without demonstrations, in the
format in which it will be asked. Where a picture's prefix will stand, there stand words drawn from the description and
the name of what the picture shows: so the model learns that what stands there tells the answer, and the mapper has
something to aim at. Where there is no picture, and sometimes anyway, tokens of beginning stand there.

What it reads in which step is a function of the seed and the step. It is a Llama in small: positions are relative,
so that longer prompts than it has seen are no surprise.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from melder.encoders.vocabulary import train_tokenizer
from melder.generative.language_model import LanguageModel
from melder.generative.prompt import Template
from melder.methods.gemel import CompactConfiguration

__all__ = ["Texts", "TrainingSentence", "train_compact"]

POSITIONS = 4096
IGNORED = -100
PLAIN = 0.15  # share of texts that are an entity's description
BLANK = 0.15  # share of pictures that are left out
FOREIGN = 0.3  # share of demonstrations with another surface than the question's
WARMUP = 0.05  # share of the steps


@dataclass(frozen=True)
class TrainingSentence:
    """A training mention.

    Args:
        text: It is in.
        surface: Its words.
        answer: The name that answers.
        about: A text about the answer, which stands in for a picture.
        picture: Whether there is one.
    """

    text: str
    surface: str
    answer: str
    about: str
    picture: bool


@dataclass(frozen=True)
class Texts:
    """What there is to learn from.

    Args:
        examples: Training mentions.
        descriptions: Of entities.
        template: Of the prompts.
        prefix_tokens: Positions that a picture takes.
        demonstrations: The most that a prompt has.
    """

    examples: Sequence[TrainingSentence]
    descriptions: Sequence[str]
    template: Template
    prefix_tokens: int
    demonstrations: int


def train_compact(
    texts: Texts, options: CompactConfiguration, seed: int, progress: Callable[[int], None] = lambda steps: None
) -> LanguageModel:
    """A new language model, trained on the texts.

    Args:
        texts: What it learns from, and its tokenizer too.
        options: Sizes, and how many steps.
        seed: Of weights and of the order.
        progress: Told of each step.

    Returns:
        In evaluation mode.
    """
    tokenizer = train_tokenizer(_every(texts), exact=True)
    torch.manual_seed(seed)
    model = LlamaForCausalLM(_configuration(options, tokenizer))
    read = _Reader(texts, LanguageModel("lm:compact", model, tokenizer), seed)
    model.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _factor(options.steps))
    for step in range(options.steps):
        loss = _loss(model, *read.batch(step, options.batch_size))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress(1)
    return LanguageModel("lm:compact", model, tokenizer)


def _every(texts: Texts) -> list[str]:
    prompts = [
        texts.template.demonstration(example.text, example.surface, example.answer) for example in texts.examples
    ]
    return [*texts.descriptions, *dict.fromkeys(prompts)]


def _configuration(options: CompactConfiguration, tokenizer: object) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        hidden_size=options.width,
        intermediate_size=3 * options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,  # type: ignore[attr-defined]
        eos_token_id=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        pad_token_id=tokenizer.pad_token_id,  # type: ignore[attr-defined]
    )


def _factor(steps: int) -> Callable[[int], float]:
    def factor(step: int) -> float:
        return min(1.0, (step + 1) / (WARMUP * steps + 1)) * (0.55 + 0.45 * math.cos(math.pi * step / steps))

    return factor


def _loss(model: LlamaForCausalLM, tokens: Tensor, labels: Tensor, answers: Tensor) -> Tensor:
    """The mean over all tokens and, once more, over those of answers, which are few among many of the template."""
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
    losses = cross_entropy(logits, labels[:, 1:].flatten(), reduction="none", ignore_index=IGNORED)
    counted, answered = (labels[:, 1:] != IGNORED).flatten(), answers[:, 1:].flatten()
    return losses.sum() / counted.sum() + (losses * answered).sum() / answered.sum().clamp(min=1)


class _Reader:
    """Makes batches: token ids, labels and which of them are answers, all [n, L], padded on the right."""

    def __init__(self, texts: Texts, language_model: LanguageModel, seed: int) -> None:
        self.texts, self.seed, self.model = texts, seed, language_model
        self.start: int = language_model.tokenizer.bos_token_id
        write, template = language_model.tokens, texts.template
        around = [template.around_picture(example.text, example.surface) for example in texts.examples]
        self.before, self.behind = (write([pair[side] for pair in around]) for side in (0, 1))
        self.answers = write([example.answer for example in texts.examples])
        self.after = write([template.pattern.partition("{answer}")[2]])[0]
        self.about = _shared(write, [f"{example.answer} {example.about}" for example in texts.examples])
        self.descriptions = write(texts.descriptions)
        self.alike: dict[str, list[int]] = defaultdict(list)
        for row, example in enumerate(texts.examples):
            self.alike[example.surface].append(row)

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        draw = np.random.default_rng([self.seed, step])
        blocks = int(draw.integers(self.texts.demonstrations + 1))  # of one length: little is spent on padding
        rows = [self._text(draw, blocks) for _ in range(size)]
        longest = max(len(row) for row in rows)
        padding = (self.model.pad, False, False)
        filled = [row + [padding] * (longest - len(row)) for row in rows]
        tokens = torch.tensor([[token for token, _, _ in row] for row in filled])
        counted = torch.tensor([[count for _, count, _ in row] for row in filled])
        answers = torch.tensor([[answer for _, _, answer in row] for row in filled])
        return tokens, torch.where(counted, tokens, IGNORED), answers

    def _text(self, draw: np.random.Generator, demonstrations: int) -> list[tuple[int, bool, bool]]:
        """(token, is it to be predicted, is it of an answer)"""
        if self.descriptions and draw.random() < PLAIN:
            chosen = self.descriptions[draw.integers(len(self.descriptions))]
            return [(token, True, False) for token in [*chosen, self.model.end]]
        query = int(draw.integers(len(self.before)))
        text: list[tuple[int, bool, bool]] = []
        for _ in range(demonstrations):
            text += self._block(draw, self._demonstration(draw, query), last=False)
        return text + self._block(draw, query, last=True)

    def _demonstration(self, draw: np.random.Generator, query: int) -> int:
        alike = self.alike[self.texts.examples[query].surface]
        foreign = len(alike) == 1 or draw.random() < FOREIGN
        return int(draw.integers(len(self.before))) if foreign else alike[draw.integers(len(alike))]

    def _block(self, draw: np.random.Generator, row: int, *, last: bool) -> list[tuple[int, bool, bool]]:
        prefix = self._stand_in(draw, row)
        end = [(self.model.end, True, True)] if last else [(token, True, False) for token in self.after]
        return [
            *((token, True, False) for token in self.before[row]),
            *((token, False, False) for token in prefix),
            *((token, True, False) for token in self.behind[row]),
            *((token, True, True) for token in self.answers[row]),
            *end,
        ]

    def _stand_in(self, draw: np.random.Generator, row: int) -> list[int]:
        count = self.texts.prefix_tokens
        if not self.texts.examples[row].picture or draw.random() < BLANK:
            return [self.start] * count
        return draw.choice(self.about[row], count).tolist()  # type: ignore[no-any-return]


def _shared(write: Callable[[Sequence[str]], list[list[int]]], texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids of texts that repeat; each different one is written and kept once."""
    different = list(dict.fromkeys(texts))
    arrays = {text: np.array(row) for text, row in zip(different, write(different), strict=True)}
    return [arrays[text] for text in texts]
