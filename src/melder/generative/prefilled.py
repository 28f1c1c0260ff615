"""A causal language model that has read the prompts of a batch of mentions, and goes on from there as often as asked.

The prompt's keys and values are computed once a mention. Whatever is read after it (beams, prefixes of names) shares
them: all prefixes of one mention are packed into one row, and each attends to the prompt, to its own ancestors and to
itself. Nothing of the prompt is ever copied or reordered.
"""

from __future__ import annotations

import inspect
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melder.generative.kv_cache import cache_argument, join_caches, room_cache
from melder.records import MelderError

__all__ = ["PrefilledModel", "Prompt"]


# Positions of prompts that are read at once. More than fit into a processor's cache make it slower, not faster, and a
# prompt alone needs no padding and no mask; a graphics card wants many.
AT_ONCE = {"cpu": 1024}
AT_ONCE_ELSEWHERE = 16_384


@dataclass(frozen=True)
class Prompt:
    """What n mentions have before the answer, embedded and padded on the left.

    Args:
        inputs_embeds: [n, length, width], in the language model's precision.
        attention_mask: [n, length], 1 = a position of the prompt, 0 = padding.
    """

    inputs_embeds: Tensor  # [n, length, width], in the language model's precision
    attention_mask: Tensor  # [n, length]; 1 = a position of the prompt, 0 = padding

    def __len__(self) -> int:
        return self.inputs_embeds.shape[0]

    def take(self, rows: slice | list[int]) -> Prompt:
        """The prompts of some mentions, without the padding that all of them have."""
        mask = self.attention_mask[rows]
        start = int(mask.bool().any(dim=0).float().argmax())
        return Prompt(self.inputs_embeds[rows, start:], mask[:, start:])


class PrefilledModel:
    """A language model after the prompts of n mentions.

    Args:
        model: A causal language model of transformers.
        prompt: Of n mentions.

    Raises:
        MelderError: The model cannot be told positions and masks (ALiBi models), or when what is to be read does not
            fit into its context or its sliding window.
    """

    def __init__(self, model: Any, prompt: Prompt) -> None:
        _check(model, prompt)
        self.model = model
        self.cache_argument = cache_argument(model)
        self.mask = prompt.attention_mask.bool()  # [n, length]
        self.lengths = self.mask.sum(dim=1)  # [n]
        # first: [n, vocabulary] logits of the first token after the prompt
        self.first, self.cache = self._prefill(prompt)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def added(self) -> int:
        """Positions read after the prompts, the same number in every row."""
        return int(self.cache.get_seq_length()) - self.mask.shape[1]

    def read(self, tokens: np.ndarray, depths: np.ndarray, visible: np.ndarray, last: int = 0) -> Tensor:
        """Logits [n, q, vocabulary] after each of q more tokens a row, which become positions `added`, `added` + 1 ….

        With `last` logits only after so many tokens at the end, [n, last, vocabulary]: of long texts they are large.

        `tokens` [n, q]; `depths` [n, q]: how far behind the prompt a token stands, 0 = the first; `visible`
        [n, q, added + q]: which of the positions read after the prompt it attends to, itself included.
        """
        device = self.first.device
        positions = torch.from_numpy(depths).to(device) + self.lengths[:, None]
        _check_length(self.model.config, int(positions.max()) + 1)
        prompt = self.mask[:, None, :].expand(-1, tokens.shape[1], -1)
        attended = torch.cat([prompt, torch.from_numpy(visible).to(device)], dim=2)
        dtype = self.model.get_input_embeddings().weight.dtype
        mask = torch.zeros(attended.shape, dtype=dtype, device=device).masked_fill_(~attended, torch.finfo(dtype).min)
        return self._forward(
            self.cache,
            input_ids=torch.from_numpy(tokens).to(device),
            attention_mask=mask[:, None],
            position_ids=positions,
            logits_to_keep=last,
        )

    def forget(self) -> None:
        """Drop everything that was read after the prompts."""
        for layer in self.cache.layers:
            layer.shorten(self.mask.shape[1])

    def repeated(self, count: int) -> PrefilledModel:
        """The same prompts `count` times over, to go on with beside this one."""
        other = copy(self)
        other.cache = join_caches([self.cache] * count)
        other.mask, other.lengths = self.mask.repeat(count, 1), self.lengths.repeat(count)
        other.first = self.first.repeat(count, 1)
        return other

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some of the mentions only, in the order of `rows`; one may be taken several times."""
        index = torch.from_numpy(rows).to(self.first.device)
        self.mask, self.lengths, self.first = self.mask[index], self.lengths[index], self.first[index]
        self.cache.batch_select_indices(index)

    def _prefill(self, prompt: Prompt) -> tuple[Tensor, Any]:
        _check_length(self.model.config, int(self.lengths.max()))
        most = AT_ONCE.get(prompt.inputs_embeds.device.type, AT_ONCE_ELSEWHERE)
        rows = max(1, most // self.mask.shape[1])
        logits, caches = [], []
        for start in range(0, len(prompt), rows):
            cache = room_cache()
            logits.append(self._read_prompt(prompt.take(slice(start, start + rows)), cache))
            caches.append(cache)
        return torch.cat(logits), caches[0] if len(caches) == 1 else join_caches(caches)

    def _read_prompt(self, prompt: Prompt, cache: Any) -> Tensor:
        mask = prompt.attention_mask.bool()
        positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
        padded = None if bool(mask.all()) else prompt.attention_mask  # None: the faster, plainly causal kernel
        return self._forward(
            cache,
            inputs_embeds=prompt.inputs_embeds,
            attention_mask=padded,
            position_ids=positions,
            logits_to_keep=1,
        )[:, -1]

    def _forward(self, cache: Any, **inputs: Any) -> Tensor:
        with torch.inference_mode():
            output = self.model(**inputs, **{self.cache_argument: cache}, use_cache=True)
        logits: Tensor = output.logits
        return logits


def _check(model: Any, prompt: Prompt) -> None:
    name = type(model).__name__
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise MelderError(f"language model {name}: it takes no position ids; use an OPT, GPT-2, Llama or Qwen-like one")
    if model.config._attn_implementation not in ("sdpa", "eager"):
        kind = model.config._attn_implementation
        raise MelderError(f"language model {name}: attention {kind!r} takes no masks; load it with sdpa or eager")
    if not bool(prompt.attention_mask.bool().any(dim=1).all()):
        raise MelderError("a prompt is empty; give every mention at least one position")
    if not bool(prompt.attention_mask[:, -1].all()):
        raise MelderError("prompts must be padded on the left: the last position of each must not be padding")


def _check_length(config: Any, length: int) -> None:
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and length > most:
        raise MelderError(
            f"prompt and name take {length:,} positions, the language model has {most:,}; use fewer demonstrations"
        )
    window = getattr(config, "sliding_window", None)
    if window is not None and _kinds(config) != "full_attention" and length > window:
        raise MelderError(
            f"prompt and name take {length:,} positions, the language model's window has {window:,}; "
            "use fewer demonstrations"
        )


def _kinds(config: Any) -> str:
    """The kinds of attention of the layers, joined; Qwen names a window even where no layer has one."""
    return " ".join(sorted(set(getattr(config, "layer_types", None) or ["sliding_attention"])))
