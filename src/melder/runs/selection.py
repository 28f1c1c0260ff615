"""The mentions that a run was selected on, and the splits of its data."""

from __future__ import annotations

from pathlib import Path

from melder.data import TUNE, DataSet, selection_split
from melder.records import MelderError, Mention
from melder.runs.configuration_file import read_yaml

__all__ = ["selection_of", "split_mentions"]


def split_mentions(run: Path, dataset: DataSet, split: str) -> list[Mention]:
    """The mentions of train, dev or test; of tune, the part of train that the run was selected on.

    Args:
        run: Its directory.
        dataset: Of the mentions.
        split: train, tune, dev or test.

    Returns:
        Them, in the order of their file.

    Raises:
        MelderError: There is no such split, or the run has no such part.
    """
    if split != TUNE:
        return dataset.split(split)
    _, mentions, source = selection_of(run, dataset)
    if source != "train":
        raise MelderError(f"{run}: was selected on {source}, and no part of train was held out; use --split {source}")
    return mentions


def selection_of(run: Path, dataset: DataSet) -> tuple[list[Mention], list[Mention], str]:
    """Which mentions a run learned from, and which it was selected on.

    Args:
        run: Its directory.
        dataset: That it was trained on.

    Returns:
        Those that it learned from, those that it was selected on, and the split that these are of.

    Raises:
        MelderError: It was trained on no mentions of a data set.
    """
    content = read_yaml(run / "config.yaml")
    training, data = content.get("training"), content.get("data") or {}
    if not training or data.get("from_entities"):
        raise MelderError(f"{run}: was not selected on a part of this data; name mentions with --split, such as dev")
    return selection_split(
        dataset,
        str(training.get("select_on", TUNE)),
        int(training["seed"]),
        fraction=float(data.get("fraction", 1.0)),
        by_entity=bool(training.get("select_entities", False)),
    )
