"""`melder.load`: a linker from a run and the data it is to search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from melder.data import load as load_data
from melder.linking.exact import ExactLinker
from melder.linking.run import open_run
from melder.records import MelderError

__all__ = ["load"]


def load(
    run: str | Path,
    data: str | Path | None = None,
    *,
    changes: Sequence[str] = (),
    counting: Callable[[str, int], Callable[[int], None]] | None = None,
) -> ExactLinker:
    """Open a run and encode the entities of the data set `data`, so that mentions can be linked to them.

    `changes` are settings of the method that take the place of the run's, such as "method.assignment=attention".
    `counting` starts a progress bar, given a title and a total; what it returns is told how much more is done.
    Raises `MelderError` when the run or the data set cannot be read.
    """
    if data is None:
        raise MelderError(f"{run}: name the data set to search as well: melder.load({str(run)!r}, data=DIRECTORY)")
    model, configuration = open_run(Path(run), changes)
    settings = configuration.data
    dataset = load_data(Path(data), text_field=settings.text_field)
    progress = counting("encoding entities", len(dataset.entities)) if counting else None
    return ExactLinker(model, dataset, modalities=settings.modalities, progress=progress)
