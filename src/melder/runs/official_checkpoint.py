"""Weights as the published code leaves them: a checkpoint of Lightning, which is a pickle, or safetensors.

This is the only place where Melder reads a pickle. PyTorch's reader for weights only is used, which makes tensors and
plain containers and runs nothing that the file names. Published checkpoints also hold their settings as objects of
other libraries; a placeholder stands for each of those, so that neither the library nor its code is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from melder.records import MelderError

__all__ = ["read_official_state"]


class _Placeholder(dict[Any, Any]):
    """Takes whatever a pickled object is made from, and forgets it."""

    def __new__(cls, *arguments: object, **options: object) -> _Placeholder:
        return super().__new__(cls)

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None: ...


def read_official_state(path: Path, *, allow_pickle: bool = False) -> dict[str, Tensor]:
    """The state dict that a file holds, on the CPU, floating-point weights in float32.

    Args:
        path: Of a safetensors file or, allowed, of a pickle.
        allow_pickle: Whether a pickle is read, by PyTorch's reader of weights alone.

    Returns:
        By the names of the published code.

    Raises:
        MelderError: It cannot be read, and when it is a pickle unless `allow_pickle`.
    """
    if not path.is_file():
        raise MelderError(f"{path}: is no file; name a checkpoint")
    try:
        state: Any = load_file(path)
    except SafetensorError:
        if not allow_pickle:
            raise MelderError(
                f"{path}: is not safetensors; if it is a checkpoint of PyTorch, which is a pickle, repeat with "
                "--allow-pickle: weights are read, no code in it is run"
            ) from None
        state = _unpickled(path)
    state = state.get("state_dict", state) if isinstance(state, dict) else {}
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise MelderError(f"{path}: holds no state dict")
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def _unpickled(path: Path) -> Any:
    try:
        unknown = [(_Placeholder, name) for name in get_unsafe_globals_in_checkpoint(path)]
        with safe_globals(unknown):  # type: ignore[arg-type]
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or malicious pickle raises anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise MelderError(
            f"{path}: cannot be read as weights only ({reason}); name a checkpoint of Lightning"
        ) from None
