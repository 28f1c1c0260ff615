"""What reads records, and what reads texts for mentions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from melder.records import Entity, Mention

__all__ = ["MentionFinder", "Reader"]


class Reader(Protocol):
    """A directory whose files somebody else named: where they are, and how their records are read.

    Readers note what is not a record in `problems` (`melder.io.problems.Problems`) and yield the rest with their
    numbers in the file. `entities` is called before anything else is asked for.

    Attributes:
        name: Of the layout.
        notes: What a user should know of the reading, one sentence a note.
        field_names: What the file calls a field ("entity.images" → "image_list") where the names differ.
        feature_keys: Each name of a picture the key of its features in the file that comes with the layout; None for
            layouts without such a file.
    """

    entity_file: Path
    entity_pictures: Path
    mention_pictures: Path
    name: str
    notes: tuple[str, ...]

    @property
    def field_names(self) -> Mapping[str, str]: ...

    @property
    def feature_keys(self) -> Mapping[str, str] | None: ...

    def entities(self, problems: Any) -> Iterator[tuple[int, Entity]]: ...

    def split_file(self, split: str) -> Path | None:
        """The file of the mentions of train, dev or test; None when there is none."""
        ...

    def mentions(self, split: str, path: Path, problems: Any) -> Iterator[tuple[int, Mention]]: ...


class MentionFinder(Protocol):
    """Finds mentions in a text; threads may share it.

    Attributes:
        reads_names: It finds names of entities, and `of_names` is asked for one that knows them.
    """

    @property
    def reads_names(self) -> bool: ...

    def of_names(self, names: Iterable[str]) -> MentionFinder:
        """The finder for entities of these names; one that reads none is itself."""
        ...

    def find(self, text: str) -> list[tuple[int, int]]:
        """[start, end) of each, in code points and in order."""
        ...
