"""An index as a directory of arrays: written as a whole, memory-mapped when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from melder.io.atomic import writing
from melder.io.tensors import write_array
from melder.records import MelderError

__all__ = ["new_directory", "no_options", "open_arrays", "save_arrays"]


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill that becomes `path` at once at the end.

    Args:
        path: Of a directory that is not there.

    Yields:
        A directory beside it.

    Raises:
        MelderError: That is there already.
    """
    if path.exists():
        raise MelderError(f"{path}: is there already; name another directory, or remove this one first")
    with writing(path) as partial:
        yield partial


def no_options(name: str, options: str) -> None:
    """Refuse options of an index that has nothing to choose.

    Args:
        name: Of the index.
        options: What follows the name and a colon.

    Raises:
        MelderError: Something does.
    """
    if options:
        raise MelderError(f"{name}:{options}: the index {name} has no options; write {name}")


def save_arrays(directory: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write each array to a file of its name.

    Args:
        directory: That is there.
        arrays: By name.
    """
    for name, array in arrays.items():
        write_array(directory / f"{name}.npy", array)


def open_arrays(directory: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Memory-mapped arrays that can be written to, for this process alone.

    Args:
        directory: With what `save_arrays` wrote.
        names: Of the arrays.

    Returns:
        The arrays by name.

    Raises:
        MelderError: A file is missing or damaged.
    """
    try:
        arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in names}
    except (OSError, ValueError, EOFError) as error:
        raise MelderError(f"{directory}: is no index of this kind, or is damaged ({error}); build it again") from None
    return {name: array.view(np.ndarray) for name, array in arrays.items()}  # slices of it are made faster
