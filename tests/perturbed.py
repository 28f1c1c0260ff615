"""Another processor, imitated: every product of matrices differs in its last digits from what it is here.

Processors sum in orders of their own, which depend on the shapes of what is multiplied and on the row: a row alone and
the same row in a batch differ by rounding, and so do twins within one batch. Here the outcome of a product is moved
by up to `ROUNDINGS` units of rounding of the sum of its terms' sizes, by a pattern that depends on the shapes alone,
so that repetition stays exact. What holds only on one processor shows.

    MELDER_PERTURBED=1 python -m pytest tests/ops        # other numbers, other patterns

It reaches PyTorch in the thread of the tests: not NumPy, nor other threads and processes.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ROUNDINGS = 2.0
BILINEAR = frozenset(["mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "convolution"])
OTHERS = frozenset(
    [
        "convolution_backward",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
    ]
)


class Perturbed(TorchDispatchMode):
    """Moves the outcomes of products; `seed` gives the patterns."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = function.overloadpacket.__name__.rstrip("_")
        if name not in BILINEAR | OTHERS:
            return function(*arguments, **(options or {}))
        sizes = _sizes(function, name, arguments)
        result = function(*arguments, **(options or {}))
        shapes = [tuple(each.shape) for each in arguments if isinstance(each, Tensor)]
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor) and each.dtype in (torch.float32, torch.float64) and each.numel():
                self._move(each, sizes, repr((self.seed, name, shapes)))
        return result

    def _move(self, tensor: Tensor, sizes: Tensor | None, key: str) -> None:
        if sizes is None:
            sizes = tensor.abs().amax(dim=-1, keepdim=True) if tensor.dim() else tensor.abs()
        step = ROUNDINGS * torch.finfo(tensor.dtype).eps * torch.where(sizes.isfinite() & (tensor != 0), sizes, 0.0)
        tensor.add_(_pattern(zlib.crc32(key.encode()), tuple(tensor.shape)).to(tensor.dtype) * step)


def _sizes(function: Any, name: str, arguments: tuple[Any, ...]) -> Tensor | None:
    """The sums of the sizes of the terms; None where they are not known."""
    if name not in BILINEAR:
        return None
    absolute = [each.abs() if isinstance(each, Tensor) else each for each in arguments]
    if name == "convolution":
        return function(*absolute)
    sizes = torch.matmul(*absolute[-2:])
    return torch.where(sizes > 0, absolute[0] + sizes, 0.0) if len(absolute) == 3 else sizes  # a sum of zeros is exact


@lru_cache(maxsize=256)
def _pattern(seed: int, shape: tuple[int, ...]) -> Tensor:
    """In [-1, 1]."""
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1
