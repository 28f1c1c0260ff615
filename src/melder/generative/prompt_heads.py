"""Keys and values of what stands before a prompt's first picture: no mapper changes them, so they are read once.

Training asks for the same questions epoch after epoch, and a chat model for the same system message every time. What
was read is kept, the latest first, as long as it fits into `MOST` bytes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from melder.generative.kv_cache import cache_argument

__all__ = ["PromptHeads"]

MOST = 1 << 28  # bytes that are kept for later batches
Head = tuple[int, ...]


class PromptHeads:
    """Reads heads, the first tokens of prompts, with a causal model of transformers whose weights do not change.

    Args:
        model: A causal language model of transformers.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.supported = "position_ids" in inspect.signature(model.forward).parameters
        self._read: dict[Head, Tensor] = {}  # [layers, 2, heads, positions, width], the latest last

    def cache(self, heads: Sequence[Sequence[int]]) -> dict[str, Any]:
        """The argument of the model for n prompts that go on from these heads, which are padded on the left.

        Args:
            heads: Token ids, not all of them empty.
        """
        wanted = [tuple(head) for head in heads]
        self._read_missing(wanted)
        longest = max(map(len, wanted))
        tensors = [self._read[head] for head in wanted if head]
        layers, _, many, _, width = tensors[0].shape
        joined = tensors[0].new_zeros(layers, 2, len(wanted), many, longest, width)
        for row, head in enumerate(wanted):
            if head:
                joined[:, :, row, :, longest - len(head) :] = self._read[head]
        self._forget()
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(joined.to(self.model.device)):
            cache.update(keys, values, layer)
        return {cache_argument(self.model): cache}

    def _read_missing(self, wanted: Sequence[Head]) -> None:
        missing = [head for head in dict.fromkeys(wanted) if head and head not in self._read]
        if missing:
            longest = max(map(len, missing))
            ids = torch.tensor([[*head, *[0] * (longest - len(head))] for head in missing], device=self.model.device)
            cache = DynamicCache()
            # What stands behind a head does not change it. Tensors of inference mode could not be trained with.
            with torch.inference_mode(False), torch.no_grad():
                self.model(input_ids=ids, **{cache_argument(self.model): cache}, use_cache=True, logits_to_keep=1)
                read = torch.stack([torch.stack([layer.keys, layer.values]) for layer in cache.layers])
                for row, head in enumerate(missing):
                    self._read[head] = read[:, :, row, :, : len(head)].clone()
        for head in dict.fromkeys(wanted):
            if head:
                self._read[head] = self._read.pop(head)

    def _forget(self) -> None:
        size = sum(tensor.nbytes for tensor in self._read.values())
        while size > MOST:
            size -= self._read.pop(next(iter(self._read))).nbytes
