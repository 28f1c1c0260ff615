"""Encode items once and keep their features on disk, so that a training on frozen features takes minutes.

A directory of features is raw .npy arrays, memory-mapped when read (token arrays in float16: half the disk, a
relative error of 5e-4), and features.json, written last: a directory without it is not one of features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import melder
from melder.encoders.picture_memory import PictureMemory
from melder.encoders.precision import computing
from melder.encoders.towers import Towers
from melder.features import Features
from melder.io.atomic import replace_file, replacing
from melder.io.tensors import write_array
from melder.io.versions import VERSIONS, check_version
from melder.protocols import Inputs, Precision
from melder.records import Item, MelderError

__all__ = ["encode", "fingerprint", "load_features", "longest_first", "save_features"]

_MANIFEST = "features.json"
_HALF = ("text_tokens", "image_tokens")
_FORMS = {  # what is stored of n records: the axes beside n, and the kinds of its numbers
    "text_global": (1, "f"),
    "text_tokens": (2, "f"),
    "image_global": (1, "f"),
    "image_tokens": (2, "f"),
    "text_mask": (1, "b"),
    "image_mask": (0, "b"),
}


def encode(
    encoder: Towers,
    items: Sequence[Item],
    *,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
    precision: Precision = "float32",
    progress: Callable[[int], None] | None = None,
    memory: PictureMemory | None = None,
) -> Features:
    """Features of n >= 1 items, float32 on the CPU, in the order of the items, with their surfaces.

    Texts of like length share a batch, so that little is spent on padding; what items share goes through the encoder
    once, and a picture that `memory` has from earlier calls not at all. `progress` is told how many items each batch
    had. `precision` is what the encoder computes in.
    """
    order = longest_first(items)
    memory = memory or PictureMemory()
    forward = partial(_forward, encoder, device=torch.device(device), precision=precision)
    full: dict[str, Tensor] = {}
    training = encoder.training
    encoder.eval()
    try:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            features = memory.encode([items[row] for row in rows], forward)
            for name, tensor in features.tensors().items():
                full[name] = _place(full.get(name), tensor.cpu(), rows, len(items))
            if progress is not None:
                progress(len(rows))
    finally:
        encoder.train(training)
    return Features(**full, surfaces=[item.surfaces for item in items])


def longest_first(items: Sequence[Item]) -> list[int]:
    """The order in which items are encoded: what comes later needs no more room than what came before, and
    equal texts stand together."""
    return sorted(range(len(items)), key=lambda index: (-len(items[index].text), items[index].text))


def save_features(features: Features, directory: Path, *, ids: Sequence[str], fingerprint: str) -> None:
    """Write features of the records `ids`; an older set in the directory stops being readable first.

    Surfaces are not written: they come from the records.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MANIFEST).unlink(missing_ok=True)
    tensors = features.tensors()
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

    Raises:
        MelderError: The directory holds none, or those of other records, texts, pictures or encoder.
    """
    manifest = _read_manifest(directory)
    if manifest["ids"] != list(ids):
        counts = f"{len(manifest['ids']):,} there, {len(ids):,} here"
        raise _again(directory, f"they are of other records, or of the same in another order ({counts})")
    if manifest["fingerprint"] != fingerprint:
        raise _again(directory, "the texts, the pictures or the encoder have changed since")
    tensors = {name: _read_array(directory, name, len(ids)) for name in manifest["arrays"]}
    if "text_mask" in tensors and tensors["text_mask"].shape != tensors["text_tokens"].shape[:2]:
        raise _again(directory, "text_mask.npy is of other texts than text_tokens.npy")
    return Features(**tensors, surfaces=surfaces)


def fingerprint(items: Sequence[Item], encoder_spec: str, *, spans: bool = False) -> str:
    """SHA-256 (hexadecimal) over the texts and picture names (or bytes) of items and the encoder's specification.

    `spans`: and over where mentions stand, for an encoder that reads the words around them. Put into the specification
    whatever else changes features: the text length, published mode, a run's digest.
    """
    digest = hashlib.sha256(json.dumps(encoder_spec).encode())
    for item in items:
        picture = hashlib.sha256(item.image).hexdigest() if isinstance(item.image, bytes) else _name(item.image)
        digest.update(json.dumps([item.text, picture, *((item.span or ()) if spans else ())]).encode())
    return digest.hexdigest()


def _name(image: Path | None) -> str | None:
    return None if image is None else image.name


def _forward(encoder: Towers, items: Sequence[Item], device: torch.device, precision: Precision) -> Features:
    rows = _few_sizes if device.type == "cpu" else int
    inputs: Inputs = {
        name: _filled(tensor, rows(len(tensor))).to(device) for name, tensor in encoder.prepare_distinct(items).items()
    }
    with torch.inference_mode(), computing(device, precision):
        return encoder(inputs).to(torch.float32)[: len(items)]  # type: ignore[no-any-return]


def _few_sizes(rows: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...

    oneDNN keeps memory for each number of rows that it has met, so that of a service it would grow for long.
    """
    power = 1 << (rows - 1).bit_length()
    return power * 3 // 4 if power > 2 and rows <= power * 3 // 4 else power


def _filled(tensor: Tensor, rows: int) -> Tensor:
    """So many rows: after its own the last one again and again."""
    missing = rows - len(tensor)
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) if missing else tensor


def _place(full: Tensor | None, batch: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """Put a batch at its rows of the whole, which is as wide as the widest batch so far."""
    if full is None:
        full = batch.new_zeros(count, *batch.shape[1:])
    if batch.dim() > 1 and batch.shape[1] > full.shape[1]:
        wider = full.new_zeros(count, *batch.shape[1:])
        wider[:, : full.shape[1]] = full
        full = wider
    index = torch.tensor(rows)
    if batch.dim() > 1:
        full[index, : batch.shape[1]] = batch
    else:
        full[index] = batch
    return full


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
