"""What indexes share whose vectors a database holds: the name of a collection, and the file that finds it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melder.records import MelderError
from melder.search.indexes.files import new_directory
from melder.search.indexes.lifted import MipsToCosine

__all__ = ["collection_name", "last_line", "read_description", "stored_lift", "write_description"]


def collection_name(vectors: Tensor, types: Sequence[tuple[str, ...]] | None) -> str:
    """A name that changes with the vectors and the types beside them, of letters, digits and _ alone.

    Args:
        vectors: [entities, width], of any floating type and device.
        types: Those of each entity; None = without.

    Returns:
        `melder_` and 24 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps([list(vectors.shape), types]).encode())
    digest.update(vectors.detach().cpu().to(torch.float32).contiguous().numpy().data)
    return f"melder_{digest.hexdigest()[:24]}"


def write_description(path: Path, file: str, lift: MipsToCosine, described: Mapping[str, Any]) -> None:
    """Write a directory with what finds a collection again; the vectors stay in the database.

    Args:
        path: The directory, which must not be there.
        file: The file's name in it.
        lift: Of the collection's vectors.
        described: Further fields, as JSON holds them.

    Raises:
        MelderError: The directory is there already.
    """
    with new_directory(path) as partial:
        (partial / file).write_text(json.dumps({**described, **vars(lift)}), encoding="utf-8")


def read_description(path: Path, file: str, fields: Mapping[str, type]) -> dict[str, Any]:
    """What was written: of these fields each with its type, and those of the lift.

    Args:
        path: The directory.
        file: The file's name in it.
        fields: The type of each field, to which what the file holds is converted.

    Returns:
        Each field with its value, and `radius` and `width` of the lift.

    Raises:
        MelderError: It is no such file.
    """
    try:
        described = json.loads((path / file).read_text(encoding="utf-8"))
        kinds = {**fields, "radius": float, "width": int}
        return {name: kind(described[name]) for name, kind in kinds.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MelderError(f"{path}: is no index of this kind, or is damaged ({error}); build it again") from None


def stored_lift(described: Mapping[str, Any]) -> MipsToCosine:
    """The lift of a description.

    Args:
        described: What `read_description` returned.

    Returns:
        The lift of the collection's vectors.
    """
    return MipsToCosine(described["radius"], described["width"])


def last_line(error: Exception) -> str:
    """The last line of an error, which in databases' clients says what is wrong.

    Args:
        error: Of a client.

    Returns:
        The line; the name of the error's class where it says nothing.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
