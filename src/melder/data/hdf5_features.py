"""Converts picture features that GEMEL keeps in an HDF5 file, one vector a key, into what `precomputed:` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from melder.io.tensors import write_tensors
from melder.records import BadRecord, MelderError

__all__ = ["StoredVectors", "find_hdf5", "read_vectors"]

Vector = NDArray[np.float32]

LONGEST = 1 << 20  # numbers of a vector; a damaged file may claim any number, and room would be made for them
DAMAGED = (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError)  # what h5py raises for damaged files


@dataclass(frozen=True)
class StoredVectors:
    """Vectors of pictures, all of one length.

    Args:
        vectors: By the pictures' names.
        absent: Pictures that there is none for.
    """

    vectors: Mapping[str, Vector]
    absent: Mapping[str, BadRecord]

    def write(self, out: Path) -> None:
        """Write safetensors: image_global [n, g], the vectors as they are; image_tokens [n, 1, g], the same.

        GEMEL's are CLIP's before its projection, not normalised; a picture has its vector as its one token.
        """
        stacked = torch.from_numpy(np.stack(list(self.vectors.values())))
        tensors = {"image_global": stacked, "image_tokens": stacked[:, None, :].clone()}
        write_tensors(out, tensors, {"names": json.dumps(list(self.vectors))})


def find_hdf5(directory: Path) -> Path | None:
    """The one HDF5 file of a directory, None when there is none.

    Args:
        directory: Of a data set.

    Returns:
        Its path.

    Raises:
        MelderError: There are several.
    """
    files = sorted(path for path in directory.iterdir() if path.suffix in (".hdf5", ".h5"))
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise MelderError(f"{directory}: has several HDF5 files ({names}); say which with --features")
    return files[0] if files else None


def read_vectors(source: Path, keys: Mapping[str, str]) -> StoredVectors:
    """The vectors of pictures.

    Args:
        source: The HDF5 file.
        keys: In the file, by the pictures' names.

    Returns:
        Vectors by name.

    Raises:
        MelderError: There is none of them, when lengths differ, and for a file that is no HDF5.
    """
    found = _read(source, keys)
    vectors = {name: vector for name, vector in found.items() if vector is not None}
    if not vectors:
        raise MelderError(f"{source}: holds none of the {len(keys):,} pictures that mentions name; give another file")
    lengths = sorted({len(vector) for vector in vectors.values()})
    if len(lengths) > 1:
        both = f"vectors of {lengths[0]} and of {lengths[1]} numbers"
        raise MelderError(f"{source}: has {both}; give a file that one network wrote")
    message = "is no vector of finite numbers, or not there; add it, or leave the picture out"
    absent = {name: BadRecord(str(source), 0, keys[name], message) for name in found if name not in vectors}
    return StoredVectors(vectors, absent)


def _read(source: Path, keys: Mapping[str, str]) -> dict[str, Vector | None]:
    try:
        import h5py
    except ImportError:
        raise MelderError("HDF5 files need h5py, which is not installed; pip install 'melder[hdf5]'") from None
    try:
        with h5py.File(source, "r") as content:
            return {name: _vector(_found(content, key)) for name, key in keys.items()}
    except DAMAGED as error:
        raise MelderError(f"{source}: cannot be read as HDF5 ({error}); name GEMEL's file of features") from None


def _found(content: Any, key: str) -> Any:
    """What the file has under a key; None where nothing can be, such as behind a link that leads to itself."""
    try:
        return None if "\0" in key else content.get(key)  # HDF5 would end the key there
    except (UnicodeEncodeError, RuntimeError):
        return None


def _vector(found: Any) -> Vector | None:
    """A dataset of one row of finite numbers, [g] or [1, g]; None for anything else, such as a group."""
    shape = getattr(found, "shape", None)
    if not shape or shape[:-1] not in ((), (1,)) or not 0 < shape[-1] <= LONGEST or found.dtype.kind not in "fiu":
        return None
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        vector = np.asarray(found[()]).astype(np.float32).reshape(-1)
    return vector if np.isfinite(vector).all() else None
