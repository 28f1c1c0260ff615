"""Features on disk, encoded once, so that a training on frozen features takes minutes.

A directory of features is raw .npy arrays, memory-mapped when read (token arrays in float16: half the disk, a
relative error of 5e-4), and features.json, written last: a directory without it is not one of features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import melder
from melder.features import Features
from melder.further_pictures import FurtherPictures
from melder.io.atomic import replace_file, replacing
from melder.io.tensors import write_array
from melder.io.versions import VERSIONS, check_version
from melder.records import Item, MelderError

__all__ = ["fingerprint", "load_features", "save_features"]

_MANIFEST = "features.json"
_HALF = ("text_tokens", "image_tokens", "further_image_tokens")
_FURTHER = "further_"
_COUNTS = "further_counts"
_FORMS = {  # what is stored of n records or of their further pictures: the axes beside n, and the kinds of its numbers
    "text_global": (1, "f"),
    "text_tokens": (2, "f"),
    "image_global": (1, "f"),
    "image_tokens": (2, "f"),
    "text_mask": (1, "b"),
    "image_mask": (0, "b"),
    _COUNTS: (0, "i"),
    "further_image_global": (1, "f"),
    "further_image_tokens": (2, "f"),
    "further_image_mask": (0, "b"),
}


def save_features(features: Features, directory: Path, *, ids: Sequence[str], fingerprint: str) -> None:
    """Write features of the records `ids`; an older set in the directory stops being readable first.

    Surfaces are not written: they come from the records.

    Args:
        features: [n], of which token arrays are written as float16
        directory: made where it is missing
        ids: [n], of the records
        fingerprint: of what was encoded, and by what
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MANIFEST).unlink(missing_ok=True)
    tensors = features.tensors() | _further_tensors(features.further)
    for name, tensor in tensors.items():
        with replacing(directory / f"{name}.npy") as part:
            write_array(part, _on_disk(name, tensor))
    version = {"format": VERSIONS["features"].current, "melder": melder.__version__}
    content = {**version, "fingerprint": fingerprint, "arrays": sorted(tensors), "ids": list(ids)}
    replace_file(directory / _MANIFEST, json.dumps(content).encode())


def load_features(
    directory: Path,
    *,
    ids: Sequence[str],
    fingerprint: str,
    surfaces: Sequence[tuple[str, ...]] | None = None,
) -> Features:
    """Memory-mapped features of the records `ids`, token arrays in float16; changes stay in memory.

    Args:
        directory: that `save_features` wrote
        ids: [n], of the records that are wanted
        fingerprint: that the features should have
        surfaces: [n], of the records

    Returns:
        of the records, in their order

    Raises:
        MelderError: The directory holds none, or those of other records, texts, pictures or encoder.
    """
    manifest = _read_manifest(directory)
    if manifest["ids"] != list(ids):
        counts = f"{len(manifest['ids']):,} there, {len(ids):,} here"
        raise _again(directory, f"they are of other records, or of the same in another order ({counts})")
    if manifest["fingerprint"] != fingerprint:
        raise _again(directory, "the texts, the pictures or the encoder have changed since")
    names = [name for name in manifest["arrays"] if not name.startswith(_FURTHER)]
    tensors = {name: _read_array(directory, name, len(ids)) for name in names}
    if "text_mask" in tensors and tensors["text_mask"].shape != tensors["text_tokens"].shape[:2]:
        raise _again(directory, "text_mask.npy is of other texts than text_tokens.npy")
    further = _read_further(directory, len(ids)) if len(names) < len(manifest["arrays"]) else None
    return Features(**tensors, surfaces=surfaces, further=further)


def fingerprint(items: Sequence[Item], encoder_spec: str, *, spans: bool = False) -> str:
    """SHA-256 over the texts and picture names (or bytes) of items and the encoder's specification.

    Put into the specification whatever else changes features: the text length, published mode, a run's digest.

    Args:
        items: what is encoded
        encoder_spec: of the encoder
        spans: and over where mentions stand, for an encoder that reads the words around them

    Returns:
        hexadecimal
    """
    digest = hashlib.sha256(json.dumps(encoder_spec).encode())
    for item in items:
        marks = [_mark(item.image), *((item.span or ()) if spans else ())]
        digest.update(json.dumps([item.text, *marks]).encode())
        if item.further:
            digest.update(json.dumps([_mark(image) for image in item.further]).encode())
    return digest.hexdigest()


def _mark(image: Path | bytes | None) -> str | None:
    """What a picture is known by: the digest of its bytes, or its file's name."""
    if isinstance(image, bytes):
        return hashlib.sha256(image).hexdigest()
    return None if image is None else image.name


def _on_disk(name: str, tensor: Tensor) -> np.ndarray:
    if name not in _HALF:
        return tensor.numpy()
    # Some models have a few huge activations; the largest float16 says as much about them, infinity does not.
    limit = torch.finfo(torch.float16).max
    return tensor.clamp(-limit, limit).half().numpy()


def _read_manifest(directory: Path) -> dict[str, Any]:
    try:
        content = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _again(directory, f"{_MANIFEST} is missing or cut short") from error
    if not isinstance(content, dict):
        raise _again(directory, f"{_MANIFEST} is no JSON object")
    check_version("features", directory / _MANIFEST, content.get("format"), content.get("melder"))
    if missing := [name for name in ("fingerprint", "arrays", "ids") if name not in content]:
        raise _again(directory, f"{_MANIFEST} lacks {missing[0]!r}")
    if not isinstance(content["ids"], list) or not _are_features(content["arrays"]):
        raise _again(directory, f"{_MANIFEST} is damaged")
    return content


def _further_tensors(further: FurtherPictures | None) -> dict[str, Tensor]:
    return {} if further is None else {_FURTHER + name: tensor for name, tensor in vars(further).items()}


def _read_further(directory: Path, count: int) -> FurtherPictures:
    counts = _read_array(directory, _COUNTS, count)
    if bool((counts < 0).any()):
        raise _again(directory, f"{_COUNTS}.npy is damaged")
    pictures = int(counts.sum())
    names = [name for name in _FORMS if name.startswith(_FURTHER) and name != _COUNTS]
    tensors = {name.removeprefix(_FURTHER): _read_array(directory, name, pictures) for name in names}
    return FurtherPictures(counts, **tensors)


def _are_features(arrays: object) -> bool:
    """Whether a list names arrays of features, and those among them that all features have."""
    known = isinstance(arrays, list) and all(isinstance(name, str) and name in _FORMS for name in arrays)
    return known and {"text_global", "text_tokens"} <= set(arrays)  # type: ignore[call-overload]


def _read_array(directory: Path, name: str, count: int) -> Tensor:
    try:
        # Mode c keeps writes in memory: torch wants arrays that it may write to.
        array = np.lib.format.open_memmap(directory / f"{name}.npy", mode="c")
    except Exception as error:  # NumPy parses what should be a header as Python, and raises what comes of it
        raise _again(directory, f"{name}.npy is missing or cut short") from error
    axes, kind = _FORMS[name]
    if array.ndim != 1 + axes or array.dtype.kind != kind or not array.dtype.isnative:
        raise _again(directory, f"{name}.npy is damaged: it has {array.dtype.name} of {array.ndim} axes")
    if len(array) != count:
        raise _again(directory, f"{name}.npy has {len(array):,} rows, not {count:,}")
    return torch.from_numpy(array)


def _again(directory: Path, reason: str) -> MelderError:
    return MelderError(f"features in {directory} cannot be used: {reason}; run `melder features` again")
