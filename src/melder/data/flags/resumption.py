"""How far the drawing of the flags is: what an interrupted one goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from melder.io.atomic import replace_file
from melder.records import Mention

__all__ = ["Drawing", "Split"]

NOTED_EVERY = 100  # mentions: less than a second's work


class Split(NamedTuple):
    """Of how many mentions a split is: of photographs, and by name."""

    photographed: int
    by_name: int = 0


@dataclass
class Drawing:
    """The file `drawing.json`, there as long as a data set is unfinished.

    It holds the arguments, the splits that are written, and of the split at hand the mentions so far and the state of
    the random numbers after them. What was drawn since then is drawn again, the same byte for byte.

    Args:
        path: Of the file.
        arguments: What the data set is drawn by.
        written: Splits that are written.
        split: The one at hand; None = none is begun.
        state: Of the random numbers, after its mentions so far.
        mentions: Of the split at hand.
    """

    path: Path
    arguments: Mapping[str, Any]
    written: list[str] = field(default_factory=list)
    split: str | None = None
    state: Any = None
    mentions: list[Any] = field(default_factory=list)

    @staticmethod
    def open(directory: Path, arguments: Mapping[str, Any]) -> Drawing:
        """The drawing to go on with; a new one where there is none with these arguments."""
        directory.mkdir(parents=True, exist_ok=True)
        path = _path(directory)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        arguments = json.loads(json.dumps(arguments))
        if content.get("arguments") != arguments:
            content = {"arguments": arguments}
        drawing = Drawing(path, **content)
        drawing._write()
        return drawing

    @staticmethod
    def is_unfinished(directory: Path) -> bool:
        return _path(directory).is_file()

    def resume(self, split: str, random: np.random.Generator) -> list[Mention]:
        """The split's mentions so far; `random` goes on after them."""
        if self.split != split:
            return []
        random.bit_generator.state = self.state
        return [Mention.model_validate(mention) for mention in self.mentions]

    def note(self, split: str, random: np.random.Generator, mentions: list[Mention]) -> None:
        """Write down how far the split is, now and then."""
        if len(mentions) % NOTED_EVERY == 0:
            self.split, self.state = split, random.bit_generator.state
            self.mentions = [mention.model_dump() for mention in mentions]
            self._write()

    def complete(self, split: str) -> None:
        """The split's file is written."""
        self.written.append(split)
        self.split, self.state, self.mentions = None, None, []
        self._write()

    def finish(self) -> None:
        self.path.unlink()

    def _write(self) -> None:
        content = {name: value for name, value in vars(self).items() if name != "path"}
        replace_file(self.path, json.dumps(content).encode())


def _path(directory: Path) -> Path:
    return directory / "drawing.json"
