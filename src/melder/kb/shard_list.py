"""shards.json: the knowledge bases of a set, or the services that hold them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from melder.io.atomic import replace_file
from melder.kb.manifest import CURRENT, SEGMENTS, SHARDS
from melder.records import MelderError

__all__ = ["SECONDS", "check_free", "check_no_set", "is_address", "shard_paths", "shard_services", "write_shards"]

SCHEMA = 1
SECONDS = 5.0  # that an answer of a service may take: far above the slowest that is well


class Shards(BaseModel):
    """What shards.json holds.

    Args:
        shards: Directories of knowledge bases, relative to it or absolute; or addresses of services, one a shard.
        seconds: What an answer of a service may take.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA
    shards: tuple[str, ...] = Field(min_length=1)
    seconds: PositiveFloat | None = None

    @property
    def of_services(self) -> bool:
        return is_address(self.shards[0])


def shard_paths(path: Path) -> list[Path]:
    """The directories of the shards.

    Args:
        path: Of the set.

    Returns:
        In the order of the rows.

    Raises:
        MelderError: Shards.json cannot be read, or names services.
    """
    named = read_shards(path)
    if named.of_services:
        raise MelderError(f"{path / SHARDS}: names services, which link and show entities; name a knowledge base here")
    paths = [path / shard for shard in named.shards]
    for shard in paths:
        check_no_set(shard)
    return paths


def shard_services(path: Path) -> tuple[tuple[str, ...], float] | None:
    """The addresses of services that hold the shards of a set, and the seconds that an answer may take; None where
    they are directories, and of what is no set.

    Args:
        path: Of anything.

    Returns:
        Addresses and seconds.

    Raises:
        MelderError: Shards.json cannot be read.
    """
    if not (path / SHARDS).is_file():
        return None
    named = read_shards(path)
    return (named.shards, named.seconds or SECONDS) if named.of_services else None


def is_address(shard: str) -> bool:
    """Whether a shard is named by the address of its service.

    Args:
        shard: As shards.json names it.

    Returns:
        Whether it is no directory.
    """
    return shard.startswith(("http://", "https://"))


def read_shards(path: Path) -> Shards:
    file = path / SHARDS
    try:
        named = Shards.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise MelderError(f"{file}: cannot be read ({error.strerror}); make it with `melder kb shard`") from None
    except (ValueError, ValidationError):
        named = None
    if named is None or named.schema_version != SCHEMA or len(set(map(is_address, named.shards))) > 1:
        raise MelderError(f"{file}: is no list of shards that this Melder reads; make it with `melder kb shard`")
    return named


def check_no_set(path: Path) -> None:
    """Refuse a set of shards in the place of a knowledge base.

    Args:
        path: Of a directory.

    Raises:
        MelderError: It is one.
    """
    if (path / SHARDS).is_file():
        raise MelderError(f"{path}: is a set of shards itself; name the knowledge bases that are in it")


def check_free(out: Path) -> None:
    """Refuse a directory for a set of shards which is a knowledge base: a set in it would hide that.

    Args:
        out: The directory, which need not be there.

    Raises:
        MelderError: It is.
    """
    if (out / CURRENT).exists() or (out / SEGMENTS).exists():
        raise MelderError(f"{out}: is a knowledge base itself; name another directory for the set of shards")


def write_shards(out: Path, names: Sequence[str], seconds: float | None = None) -> None:
    """Write shards.json, which makes a directory a set.

    Args:
        out: The directory, which is there.
        names: Of directories, relative to it or absolute; or addresses.
        seconds: What an answer of a service may take; None = `SECONDS`.
    """
    content = Shards(shards=tuple(names), seconds=seconds).model_dump_json(indent=1, exclude_none=True)
    replace_file(out / SHARDS, (content + "\n").encode())
