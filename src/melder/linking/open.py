"""`melder.load`: a linker from a run and the data it is to search."""

from __future__ import annotations

from pathlib import Path

from melder.data import load as load_data
from melder.linking.exact import ExactLinker
from melder.linking.model import Progress
from melder.linking.run import open_run
from melder.records import MelderError

__all__ = ["load"]


def load(run: str | Path, data: str | Path | None = None, *, progress: Progress | None = None) -> ExactLinker:
    """Open a run and encode the entities of the data set `data`, so that mentions can be linked to them.

    `progress` is told how many entities more are encoded. Raises `MelderError` when the run or the data set cannot
    be read.
    """
    if data is None:
        raise MelderError(f"{run}: name the data set to search as well: melder.load({str(run)!r}, data=DIRECTORY)")
    model, configuration = open_run(Path(run))
    settings = configuration.data
    dataset = load_data(Path(data), text_field=settings.text_field)
    return ExactLinker(model, dataset, modalities=settings.modalities, progress=progress)
