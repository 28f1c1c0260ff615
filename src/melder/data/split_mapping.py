"""Splits by the ids of captions, as KGMEL publishes them in `ids_split_mappings.json`.

The file maps a data set to `{"train": [ids], "val": [ids], "test": [ids]}`; such an object alone is read too, and
"dev" for "val". Some published ids are in two splits: each counts for the last of train, dev, test that has it, so
that the published test set is whole and nothing that it holds is trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasChoices, Field, ValidationError

from melder.data.raw import Identifier, RawRecord
from melder.io.counts import in_number
from melder.io.json_object import read_object
from melder.io.problems import Problems, describe
from melder.records import BadData, MelderError

__all__ = ["SPLIT_FILE", "SplitMapping", "read_mapping"]

SPLIT_FILE = "ids_split_mappings.json"
SHOWN = 5  # ids in a note


class _RawSplits(RawRecord):
    train: list[Identifier] = Field(default_factory=list)
    dev: list[Identifier] = Field(default_factory=list, validation_alias=AliasChoices("val", "dev"))
    test: list[Identifier] = Field(default_factory=list)


@dataclass(frozen=True)
class SplitMapping:
    """Which split records are in.

    Args:
        split_of: By id.
        repeated: The ids that the file has in several.
    """

    split_of: dict[str, str]
    repeated: tuple[str, ...]

    def notes(self, keys: Iterable[str]) -> list[str]:
        """What a user must know when the captions of a data set go by `keys`."""
        known = set(keys)
        left, idle = len(known - self.split_of.keys()), len(self.split_of.keys() - known)
        found = []
        if self.repeated:
            shown = ", ".join(self.repeated[:SHOWN]) + (" …" if len(self.repeated) > SHOWN else "")
            found.append(
                f"{SPLIT_FILE}: {len(self.repeated):,} ids are in more than one split ({shown}); "
                "each is read in the last of train, dev, test only"
            )
        if left:
            left_out = in_number("{} [caption is|captions are] in no split and [is|are] left out", left)
            found.append(f"{SPLIT_FILE}: {left_out}")
        if idle:
            found.append(f"{SPLIT_FILE}: {idle:,} of its ids are of no caption here")
        return found


def read_mapping(path: Path, data_set: str) -> SplitMapping | None:
    """The splits of a data set, as a file of them says.

    Args:
        path: Of the file.
        data_set: Its name there.

    Returns:
        None when there is no such file.

    Raises:
        BadData: A file of another form.
        MelderError: It lacks the data set.
    """
    if not path.is_file():
        return None
    problems = Problems()
    content = read_object(path, problems)
    if problems.records:
        raise problems.error()
    named = {_plain(name): name for name in content}
    name = "" if "train" in content else named.get(_plain(data_set))
    if name is None:
        raise MelderError(f"{path}: has no data set {data_set!r}, only {', '.join(content)}; add it to the file")
    try:
        splits = _RawSplits.model_validate(content[name] if name else content)
    except ValidationError as error:
        problems.add(path, 0, [(f"{name}.{where}".strip("."), what) for where, what in describe(error, _RawSplits)])
        raise BadData(problems.records) from None
    return _mapping(splits)


def _mapping(splits: _RawSplits) -> SplitMapping:
    split_of: dict[str, str] = {}
    repeated: dict[str, None] = {}
    for split in ("train", "dev", "test"):
        for identifier in getattr(splits, split):
            if split_of.get(identifier, split) != split:
                repeated[identifier] = None
            split_of[identifier] = split
    return SplitMapping(split_of, tuple(repeated))


def _plain(name: str) -> str:
    """A name without case and signs: Wiki-Diverse, wiki_diverse and WikiDiverse are one."""
    return re.sub(r"[\W_]", "", name).casefold()
