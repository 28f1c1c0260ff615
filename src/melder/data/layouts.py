"""The layouts that Melder reads, by name or recognised by their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from melder.data.mimic import MimicLayout
from melder.data.own import OwnLayout
from melder.data.problems import Problems
from melder.records import Entity, MelderError, Mention

__all__ = ["LAYOUTS", "Layout", "open_layout"]

LAYOUTS = ("own", "mimic")


class Layout(Protocol):
    """A directory whose files somebody else named: where they are, and how their records are read.

    Readers note what is not a record in `problems` and yield the rest with their numbers in the file;
    `field_names` says what the file calls a field ("entity.images" → "image_list") where the names differ.
    """

    entity_file: Path
    entity_pictures: Path
    mention_pictures: Path

    @property
    def field_names(self) -> Mapping[str, str]: ...

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]: ...

    def split_file(self, split: str) -> Path | None: ...

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]: ...


def open_layout(directory: Path, name: str, text_field: str) -> Layout:
    """The directory read as layout `name`; "auto" looks at its files. `text_field` is for the layout "mimic".

    Raises MelderError for a directory that is not there, an unknown name, and files of no layout or of both.
    """
    if not directory.is_dir():
        found = "is a file; give the directory that holds it" if directory.exists() else "does not exist"
        raise MelderError(f"{directory}: {found}")
    chosen = _recognise(directory) if name == "auto" else name
    if chosen == "own":
        return OwnLayout(directory)
    if chosen == "mimic":
        return MimicLayout(directory, text_field)
    raise MelderError(f"there is no layout {name!r}; use one of auto, {', '.join(LAYOUTS)}")


def _recognise(directory: Path) -> str:
    own, mimic = OwnLayout.recognises(directory), MimicLayout.recognises(directory)
    if own and mimic:
        raise MelderError(
            f"{directory}: holds both entities.jsonl and kb_entity.json; say which with layout=own or layout=mimic"
        )
    if not own and not mimic:
        raise MelderError(
            f"{directory}: is not a data set: it needs entities.jsonl (Melder's layout) or kb_entity.json (MIMIC's)"
        )
    return "own" if own else "mimic"
