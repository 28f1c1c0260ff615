"""The layouts that Melder reads, by name or recognised by their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from melder.data.gemel import GemelLayout
from melder.data.kgmel import is_kgmel, open_kgmel
from melder.data.melbench import is_melbench, open_melbench
from melder.data.mimic import MimicLayout
from melder.data.own import OwnLayout
from melder.io.problems import Problems
from melder.records import Entity, MelderError, Mention

__all__ = ["LAYOUTS", "Layout", "open_layout"]


class Layout(Protocol):
    """A directory whose files somebody else named: where they are, and how their records are read.

    Readers note what is not a record in `problems` and yield the rest with their numbers in the file;
    `field_names` says what the file calls a field ("entity.images" → "image_list") where the names differ.
    `entities` is called before anything else is asked for; `notes` are what a user should know of the reading.
    """

    entity_file: Path
    entity_pictures: Path
    mention_pictures: Path
    name: str
    notes: tuple[str, ...]

    @property
    def field_names(self) -> Mapping[str, str]: ...

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]: ...

    def split_file(self, split: str) -> Path | None: ...

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]: ...


@dataclass(frozen=True)
class _Kind:
    """How a layout is told, and opened; `open` takes the directory and the text field that only "mimic" reads."""

    files: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path, str], Layout]


_KINDS: Mapping[str, _Kind] = {
    "own": _Kind("entities.jsonl (Melder's layout)", OwnLayout.recognises, lambda where, _: OwnLayout(where)),
    "mimic": _Kind("kb_entity.json (MIMIC's)", MimicLayout.recognises, MimicLayout),
    "melbench": _Kind(
        "Wikidata-MEL.json or Richpedia-MEL.json (MELBench's)", is_melbench, lambda where, _: open_melbench(where)
    ),
    "kgmel": _Kind("WikiDiverse.json (KGMEL's)", is_kgmel, lambda where, _: open_kgmel(where)),
    "gemel": _Kind(
        "train.json of one object a line (GEMEL's)", GemelLayout.recognises, lambda where, _: GemelLayout(where)
    ),
}
LAYOUTS = tuple(_KINDS)
KEPT_BESIDE = {"melbench", "kgmel", "gemel"}  # layouts without entities, which may have entities.jsonl beside them


def open_layout(directory: Path, name: str, text_field: str) -> Layout:
    """The directory read as layout `name`; "auto" looks at its files. `text_field` is for the layout "mimic".

    Raises MelderError for a directory that is not there, an unknown name, and files of no layout or of several.
    """
    if not directory.is_dir():
        found = "is a file; give the directory that holds it" if directory.exists() else "does not exist"
        raise MelderError(f"{directory}: {found}")
    chosen = _recognise(directory) if name == "auto" else name
    if chosen not in _KINDS:
        raise MelderError(f"there is no layout {name!r}; use one of auto, {', '.join(LAYOUTS)}")
    return _KINDS[chosen].open(directory, text_field)


def _recognise(directory: Path) -> str:
    found = [name for name, kind in _KINDS.items() if kind.recognises(directory)]
    if len(found) == 2 and found[0] == "own" and found[1] in KEPT_BESIDE and not OwnLayout(directory).has_splits:
        return found[1]
    if len(found) > 1:
        choices = " or ".join(f"layout={name}" for name in found)
        raise MelderError(f"{directory}: holds both {' and '.join(map(_files, found))}; say which with {choices}")
    if not found:
        *others, last = map(_files, LAYOUTS)
        raise MelderError(f"{directory}: is not a data set: it needs {', '.join(others)} or {last}")
    return found[0]


def _files(name: str) -> str:
    return _KINDS[name].files
