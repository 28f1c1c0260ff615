"""Flat arrays in a directory: raw files that are memory-mapped when read, and a JSON header, written last.

A file is named after what it holds (SHA-256), so saving again writes only what has changed, and a header that was
there before stays true until the new one takes its place. Opening checks sizes and CRC-32 sums (several times as fast).
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from melder.io.atomic import replace_file
from melder.records import MelderError

__all__ = ["read_arrays", "write_arrays"]

FORMAT = 1  # of the header
_HEADER = "names.json"
_SUFFIX = ".names"


def write_arrays(directory: Path, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
    """Write arrays and settings (JSON); what a former header named and this one does not is removed.

    Args:
        directory: Made where it is missing.
        arrays: By name.
        settings: What JSON can hold.
    """
    directory.mkdir(parents=True, exist_ok=True)
    described = {name: _write_array(directory, array) for name, array in arrays.items()}
    header = {"format": FORMAT, "settings": dict(settings), "arrays": described}
    replace_file(directory / _HEADER, json.dumps(header, indent=1).encode())
    kept = {each["file"] for each in described.values()}
    for file in directory.glob(f"*{_SUFFIX}"):
        if file.name not in kept:
            file.unlink()


def read_arrays(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Memory-mapped arrays and the settings.

    Args:
        directory: That `write_arrays` wrote.

    Returns:
        Both.

    Raises:
        MelderError: There are none, or when a file was cut short or changed.
    """
    header = _read_header(directory)
    try:
        arrays = {name: _read_array(directory, described) for name, described in header["arrays"].items()}
        return arrays, header["settings"]
    except (KeyError, TypeError, AttributeError) as error:
        raise _unusable(directory / _HEADER, "is not what Melder writes") from error


def _write_array(directory: Path, array: np.ndarray) -> dict[str, Any]:
    data = np.ascontiguousarray(array)
    content = data.data.cast("B") if data.size else b""
    file = directory / (hashlib.sha256(content).hexdigest()[:32] + _SUFFIX)
    if not (file.is_file() and file.stat().st_size == len(content)):
        replace_file(file, content)
    return {"file": file.name, "type": data.dtype.str, "shape": data.shape, "crc32": zlib.crc32(content)}


def _read_header(directory: Path) -> dict[str, Any]:
    file = directory / _HEADER
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(file, "is missing or cut short") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _unusable(file, f"is not of format {FORMAT}, which this version of Melder reads")
    return header


def _read_array(directory: Path, described: dict[str, Any]) -> np.ndarray:
    file, kind = directory / described["file"], np.dtype(described["type"])
    size = int(np.prod(described["shape"])) * kind.itemsize
    if not file.is_file() or file.stat().st_size != size:
        raise _unusable(file, f"is missing or does not have its {size:,} bytes")
    array = np.memmap(file, kind, mode="r", shape=tuple(described["shape"])) if size else np.zeros(0, kind)
    if zlib.crc32(array.data.cast("B") if size else b"") != described["crc32"]:
        raise _unusable(file, "does not hold what was written")
    return np.asarray(array)


def _unusable(file: Path, reason: str) -> MelderError:
    return MelderError(f"names in {file.parent} cannot be used: {file.name} {reason}; write them again")
