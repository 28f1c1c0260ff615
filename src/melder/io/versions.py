"""Which versions of stored things this Melder reads, and what is said of the others; the one place that knows.

A version is raised when something written before could no longer be read as it is. To raise one: give `current` the
new number; leave the old one in `read` as long as there is code that opens it, or put the command that makes it anew
or migrates it into `remedies`; and keep a stored sample of the new one beside the others (tests/data/versions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import melder
from melder.records import MelderError

__all__ = ["VERSIONS", "Stored", "check_version"]


@dataclass(frozen=True)
class Stored:
    """A kind of thing that is stored: the version that is written, those that are read, and, for the others, what to
    do: `remedies` by version, `anew` where nothing else is said."""

    current: int
    anew: str
    read: frozenset[int] = frozenset({1})
    remedies: Mapping[int, str] = field(default_factory=dict)


VERSIONS: Mapping[str, Stored] = {
    # 2: manifests list indexes, segments no vectors; 3: the sides of an entity are one piece of sides.bin;
    # 4: further pictures of an entity, and exemplars
    "knowledge base": Stored(4, "build it again with `melder kb build`", read=frozenset({1, 2, 3, 4})),
    "run": Stored(1, "train again with `melder train`, or convert the checkpoint again with `melder convert`"),
    "features": Stored(1, "encode again with `melder features`"),
}


def check_version(kind: str, place: Path | str, found: object, writer: object = None) -> int:
    """The version `found` at a place, which is one that is read. `writer` is the Melder that the file says wrote it.

    Raises:
        MelderError: A newer one, which another Melder reads, and for one that is read no longer, with the command that
            helps.
    """
    stored = VERSIONS[kind]
    if type(found) is int and found in stored.read:
        return found
    written = f" (written by Melder {writer})" if isinstance(writer, str) else ""
    what = f"{place}: this {kind} has version {found!r}{written}, Melder {melder.__version__} reads {_listed(stored)}"
    if type(found) is int and found > stored.current:
        raise MelderError(f"{what}; upgrade Melder")
    remedy = stored.remedies.get(found, stored.anew) if type(found) is int else stored.anew
    raise MelderError(f"{what}; {remedy}")


def _listed(stored: Stored) -> str:
    return "version " + " and ".join(map(str, sorted(stored.read)))
