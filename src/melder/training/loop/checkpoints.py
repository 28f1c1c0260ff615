"""Checkpoints without pickle: tensors as safetensors, everything else as JSON in the same file's header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from torch import Tensor

from melder.io.tensors import write_tensors
from melder.records import MelderError

__all__ = ["SafetensorsIO", "flatten", "unflatten"]

_TENSOR, _PAIRS, _TUPLE = "__tensor__", "__pairs__", "__tuple__"


class SafetensorsIO(CheckpointIO):  # type: ignore[misc]
    """Reads and writes Lightning's checkpoints. A file is whole or not there: it is renamed into its place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        tensors: dict[str, Tensor] = {}
        structure = flatten(checkpoint, tensors)
        write_tensors(Path(path), tensors, {"structure": json.dumps(structure)})

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        try:
            with safe_open(path, "pt") as file:
                structure = json.loads(file.metadata()["structure"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise MelderError(f"{path}: is no checkpoint of Melder ({error}); remove it to start again") from None
        return unflatten(structure, tensors)  # type: ignore[no-any-return]

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON, its tensors moved into `tensors` and referred to by name.

    Args:
        value: Dictionaries, lists, tuples, tensors, and what JSON can hold.
        tensors: Takes the tensors, by numbers as names.

    Returns:
        What JSON can hold.
    """
    if isinstance(value, Tensor):
        tensors[str(len(tensors))] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: str(len(tensors) - 1)}
    if isinstance(value, dict):
        return {_PAIRS: [[flatten(key, tensors), flatten(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {_TUPLE: [flatten(item, tensors) for item in value]}
    if isinstance(value, list):
        return [flatten(item, tensors) for item in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def unflatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `flatten`.

    Args:
        value: That `flatten` gave.
        tensors: That it filled.

    Returns:
        The value.
    """
    if isinstance(value, list):
        return [unflatten(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if _TUPLE in value:
        return tuple(unflatten(item, tensors) for item in value[_TUPLE])
    return {unflatten(key, tensors): unflatten(item, tensors) for key, item in value[_PAIRS]}


def weights(path: Path) -> dict[str, Tensor]:
    """The state dict of the module that a checkpoint holds."""
    state: dict[str, Tensor] = SafetensorsIO().load_checkpoint(path)["state_dict"]
    return state
