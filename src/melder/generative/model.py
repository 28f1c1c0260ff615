"""A language model with a mapper before it: prompts to input embeddings, and the log-probability of what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from melder.generative.language_model import LanguageModel
from melder.generative.mapper import Mapper, read_official_mapper
from melder.generative.prompt import Blocks
from melder.generative.prompt_heads import PromptHeads

__all__ = ["Embedded", "GenerativeModel", "from_official_mapper"]

IGNORED = -100  # the label of positions that carry no loss, as transformers has it


@dataclass(frozen=True)
class Embedded:
    """n prompts, padded to the longest.

    Args:
        embeds: [n, L, width].
        mask: [n, L], ones and zeros.
        labels: [n, L], the tokens of the answer; None = there is none.
    """

    embeds: Tensor
    mask: Tensor
    labels: Tensor | None = None


class GenerativeModel(nn.Module):
    """Prompts in, log-probabilities of continuations out; the mapper has gradients, and what LoRA added.

    Args:
        language_model: Frozen, but for what LoRA added.
        mapper: From pictures to prefixes.
    """

    def __init__(self, language_model: LanguageModel, mapper: Mapper) -> None:
        super().__init__()
        self.language_model, self.mapper = language_model, mapper
        self._heads = PromptHeads(language_model.model)

    def embed(
        self,
        prompts: Sequence[Blocks],
        continuations: Sequence[Sequence[int]] | None = None,
        *,
        padding: Literal["left", "right"] = "left",
        heads: Sequence[int] | None = None,
    ) -> Embedded:
        """Prompts, and what is to follow each of them, as the language model reads them.

        The mapper runs once, over every picture of every prompt. Published: padding on the left to generate, on the
        right to train. `heads`: how many of each prompt's first tokens are left out.
        """
        tails = [()] * len(prompts) if continuations is None else continuations
        starts_at = [0] * len(prompts) if heads is None else heads
        rows = [_row(*row, self.mapper.tokens) for row in zip(prompts, tails, starts_at, strict=True)]
        longest = max(len(tokens) for tokens, _ in rows)
        pad, device = self.language_model.pad, self.language_model.device
        starts = [longest - len(tokens) if padding == "left" else 0 for tokens, _ in rows]
        ids = torch.full((len(rows), longest), pad)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        labels = torch.full((len(rows), longest), IGNORED)
        for row, ((tokens, _), start, tail) in enumerate(zip(rows, starts, tails, strict=True)):
            end = start + len(tokens)
            ids[row, start:end] = torch.tensor(tokens)
            mask[row, start:end] = 1
            labels[row, end - len(tail) : end] = torch.tensor(list(tail), dtype=torch.long)
        places = torch.tensor(
            [(row, starts[row] + at) for row, (_, ats) in enumerate(rows) for at in ats], device=device
        )
        embeds = self.language_model.embed(ids.to(device))
        prefixes = self._prefixes(prompts).to(embeds.dtype)
        embeds = embeds.index_put((places[:, 0], places[:, 1]), prefixes.flatten(0, 1))
        return Embedded(embeds, mask.to(device), None if continuations is None else labels.to(device))

    def forward(self, prompts: Sequence[Blocks], continuations: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """The sum of the log-probabilities of each continuation's tokens [n], and how many there are [n].

        The vocabulary is large: logits are computed from the first continuation's beginning on, and their
        log-probabilities for tokens of continuations only. The last position is not read, since nothing follows it.
        What no mapper changes is read once (`PromptHeads`).
        """
        heads = [self._head(prompt) for prompt in prompts]
        batch = self.embed(prompts, continuations, padding="right", heads=[len(head) for head in heads])
        assert batch.labels is not None
        answers = batch.labels != IGNORED
        first = int(answers.any(dim=0).long().argmax())
        logits = self.language_model.model(
            inputs_embeds=batch.embeds[:, :-1],
            logits_to_keep=answers.shape[1] - first,
            **self._context(heads, batch.mask[:, :-1]),
        ).logits
        answers, labels = answers[:, first:], batch.labels[:, first:]
        losses = cross_entropy(logits[answers].float(), labels[answers], reduction="none")
        rows = torch.arange(len(answers), device=answers.device)[:, None].expand_as(answers)[answers]
        return losses.new_zeros(len(answers)).index_add(0, rows, -losses), answers.sum(dim=1)

    def loss(self, prompts: Sequence[Blocks], continuations: Sequence[Sequence[int]]) -> Tensor:
        """- the mean log-probability of each continuation's tokens, [n]."""
        sums, counts = self.forward(prompts, continuations)
        return -sums / counts

    def part_losses(
        self, prompts: Sequence[Blocks], continuations: Sequence[Sequence[int]], at_once: int
    ) -> Iterator[Tensor]:
        """Scalars that sum to the mean loss of n prompts, of `at_once` of them each.

        Prompts of like length go together, so that little is spent on padding; which do changes no more than rounding.
        """
        lengths = [
            (prompt.positions(self.mapper.tokens) - len(head) + len(tail), len(head))
            for prompt, tail in zip(prompts, continuations, strict=True)
            for head in [self._head(prompt)]
        ]
        order = sorted(range(len(prompts)), key=lengths.__getitem__)
        for start in range(0, len(order), at_once):
            rows = order[start : start + at_once]
            losses = self.loss([prompts[row] for row in rows], [continuations[row] for row in rows])
            yield losses.sum() / len(prompts)

    def _head(self, prompt: Blocks) -> list[int]:
        """The first tokens of a prompt that need not be read anew: none where the language model itself changes."""
        model = self.language_model.model
        fixed = self._heads.supported and not model.training and not self.language_model.learns
        return prompt.head if fixed else []

    def _context(self, heads: Sequence[Sequence[int]], mask: Tensor) -> dict[str, Any]:
        """What the language model is told beside the embeddings [n, L, width] that follow `heads`."""
        if not any(heads):
            # No mask: the faster, plainly causal kernel.
            return {"attention_mask": None if bool(mask.all()) else mask, "use_cache": False}
        lengths, longest = torch.tensor([len(head) for head in heads]), max(map(len, heads))
        before = torch.arange(longest) >= longest - lengths[:, None]
        positions = lengths[:, None] + torch.arange(mask.shape[1])
        whole = torch.cat([before.to(mask), mask], dim=1)
        positioned = {"position_ids": positions.to(mask.device), "use_cache": True}
        return {"attention_mask": whole, **positioned, **self._heads.cache(heads)}

    def _prefixes(self, prompts: Sequence[Blocks]) -> Tensor:
        pictures = [block.picture for prompt in prompts for block in prompt.blocks]
        there = torch.tensor([picture is not None for picture in pictures])
        blank = torch.zeros(self.mapper.picture_shape)
        stacked = torch.stack([blank if picture is None else picture.float() for picture in pictures])
        device = self.language_model.device
        prefixes: Tensor = self.mapper(stacked.to(device), there.to(device))
        return prefixes


def from_official_mapper(
    state: Mapping[str, Tensor], language_model: LanguageModel, prefix_tokens: int = 4
) -> GenerativeModel:
    """GEMEL with the mapper of the published code (`weight`, `bias`), in published mode.

    Args:
        state: `weight` and `bias`.
        language_model: Before which it stands.
        prefix_tokens: Positions of the prefix.

    Returns:
        In published mode.

    Raises:
        MelderError: The state does not belong to this language model and number of prefix tokens.
    """
    return GenerativeModel(language_model, read_official_mapper(state, language_model.width, prefix_tokens))


def _row(prompt: Blocks, tail: Sequence[int], start: int, prefix_tokens: int) -> tuple[list[int], list[int]]:
    """The tokens of a prompt from `start` on, zeros where the prefixes stand, and the places of those."""
    tokens: list[int] = list(prompt.lead)
    places: list[int] = []
    for block in prompt.blocks:
        tokens += block.tokens[: block.place]
        places += range(len(tokens) - start, len(tokens) - start + prefix_tokens)
        tokens += [*([0] * prefix_tokens), *block.tokens[block.place :]]
    return [*tokens[start:], *tail], places
