"""What an encoder computes in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from melder.protocols import Precision

__all__ = ["computing", "has_bf16"]

_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # of Intel's and AMD's processors, and of Arm's


def computing(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """A context in which layers compute in `precision`; their weights stay as they are.

    Args:
        device: where they compute
        precision: bf16 or float32

    Returns:
        to be entered
    """
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def has_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 by instructions of its own: elsewhere it is slower than float32.

    Args:
        device: a CPU or a GPU

    Returns:
        whether bf16 is worth it
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tell = getattr(torch.cpu, "get_capabilities", None)  # newer PyTorch has it
    capabilities: Mapping[str, Any] = tell() if tell is not None else {}
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS)
