"""Tensors and arrays written to files: whole or not at all, and one line where the disk does not take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from melder.io.atomic import replacing
from melder.records import MelderError

__all__ = ["library_writes", "write_array", "write_tensors"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write safetensors, in the place of a file of that name; its directory is made where it is missing.

    Raises:
        MelderError: The disk does not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as partial, library_writes(path, SafetensorError):
        save_file(content, partial, metadata=None if metadata is None else dict(metadata))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an .npy file at `path`.

    NumPy writes to a file itself where it is given one, and does not say then why it could not.
    """
    with path.open("wb") as file:
        np.lib.format.write_array(SimpleNamespace(write=file.write), array, allow_pickle=False)  # type: ignore[arg-type]


@contextmanager
def library_writes(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """What a library raises when it cannot write a file becomes one line.

    Args:
        path: What is being written.
        errors: What that library raises then.

    Raises:
        MelderError: With its reason.
    """
    try:
        yield
    except errors as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise MelderError(f"{path}: cannot be written ({reason}); make room there, or name another place") from None
