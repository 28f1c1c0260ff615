"""The layouts that Melder reads, by name or recognised by their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from melder.records import MelderError
from melder.registry import Entry, Registry

if TYPE_CHECKING:  # it imports PyTorch, which a client of a service need not have
    from melder.protocols import Reader

__all__ = ["LAYOUTS", "Layout", "open_layout"]


@dataclass(frozen=True)
class Layout:
    """How a directory of some layout is recognised and opened; each layout's file describes its own as `LAYOUT`.

    Args:
        files: What it needs, for messages.
        open: A reader of the directory, given the text field that only the layout "mimic" has.
        entities_beside: It holds mentions only, so that `entities.jsonl` may lie beside its files.
        entities_only: Whether the directory has nothing but entities, so that a layout with mentions goes before.
    """

    files: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path, str], Reader]
    entities_beside: bool = False
    entities_only: Callable[[Path], bool] = lambda directory: False


LAYOUTS = Registry[Layout](
    "layout",
    "melder.layouts",
    (
        Entry("own", "melder.data.own:LAYOUT", "Melder's: entities.jsonl and a file a split"),
        Entry("mimic", "melder.data.mimic:LAYOUT", "MIMIC's, which M3EL and OT-MEL read too: kb_entity.json"),
        Entry("melbench", "melder.data.melbench:LAYOUT", "MELBench's: Wikidata-MEL.json or Richpedia-MEL.json"),
        Entry("kgmel", "melder.data.kgmel:LAYOUT", "KGMEL's: WikiDiverse.json"),
        Entry("gemel", "melder.data.gemel:LAYOUT", "GEMEL's: train.json of one object a line", "hdf5"),
    ),
    "or auto",
)


def open_layout(directory: Path, name: str, text_field: str) -> Reader:
    """A directory, read by a layout.

    Args:
        directory: Of the data set.
        name: Of the layout; auto = as its files say.
        text_field: For the layout "mimic": attr or desc.

    Returns:
        What reads it.

    Raises:
        MelderError: A directory that is not there, an unknown name, and files of no layout or of several.
    """
    if not directory.is_dir():
        found = "is a file; give the directory that holds it" if directory.exists() else "does not exist"
        raise MelderError(f"{directory}: {found}")
    layout = _recognise(directory) if name == "auto" else LAYOUTS.get(name)
    return layout.open(directory, text_field)


def _recognise(directory: Path) -> Layout:
    layouts = {name: LAYOUTS.get(name) for name in LAYOUTS.names()}
    found = {name: layout for name, layout in layouts.items() if layout.recognises(directory)}
    if any(layout.entities_beside for layout in found.values()):
        found = {name: layout for name, layout in found.items() if not layout.entities_only(directory)}
    if len(found) > 1:
        choices = " or ".join(f"layout={name}" for name in found)
        files = " and ".join(layout.files for layout in found.values())
        raise MelderError(f"{directory}: holds both {files}; say which with {choices}")
    if not found:
        *others, last = (layout.files for layout in layouts.values())
        raise MelderError(f"{directory}: is not a data set: it needs {', '.join(others)} or {last}")
    return next(iter(found.values()))
