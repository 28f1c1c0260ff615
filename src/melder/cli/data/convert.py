"""`melder data convert`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melder.cli.console import counting, finish, say
from melder.cli.options import EntityText, TextField
from melder.io.counts import how_many, in_number
from melder.records import BadData, MelderError, Mention

if TYPE_CHECKING:
    from melder.data import DataSet
    from melder.data.hdf5_features import StoredVectors
    from melder.data.writing import Written

__all__ = ["convert"]

FEATURES = Path("features", "pictures.safetensors")  # a directory of its own: `precomputed:` takes one


def convert(
    source: Path = typer.Argument(metavar="IN", help="The directory of a data set in any layout."),
    out: Path = typer.Argument(metavar="OUT", help="A new or empty directory."),
    layout: str = typer.Option("auto", "--layout", help="Its name (melder list layouts), or auto."),
    text_field: EntityText = TextField.desc,
    copy: bool = typer.Option(False, "--copy", help="Copy pictures; default: link them (hard links) where that works."),
    features: Path = typer.Option(None, "--features", help="GEMEL's HDF5 of picture features; default: the one in IN."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave malformed records out, and list them."),
) -> None:
    """Write a data set in Melder's own layout: entities and splits as JSON Lines, and the pictures.

    GEMEL's picture features become features/pictures.safetensors, for the encoder precomputed:OUT/features+TEXT.

    \b
    melder data convert data/wikimel data/wikimel-own --text-field attr
    melder data convert data/gemel data/gemel-own --features clip_vit_large_patch14_1024.hdf5
    """
    from melder.data import load
    from melder.data.writing import write_dataset

    dataset = load(source, layout, text_field, skip_bad)
    splits = {split: dataset.split(split) for split in dataset.splits}  # bad records show before anything is written
    vectors = _vectors(dataset, features)
    if vectors is not None and vectors.absent:
        splits = _without(splits, vectors, skip_bad)
    with counting() as start:
        written = write_dataset(dataset, out, splits=splits, copy=copy, counting=start)
    if vectors is not None:
        vectors.write(out / FEATURES)
    _tell(dataset, out, written, vectors)
    finish(dataset.skipped, list(vectors.absent.values()) if vectors else [])


def _vectors(dataset: DataSet, file: Path | None) -> StoredVectors | None:
    """The picture features of a data set in GEMEL's layout, None when there are none."""
    from melder.data.hdf5_features import find_hdf5, read_vectors

    keys = dataset.layout.feature_keys
    if keys is None:
        if file is not None:
            raise MelderError(
                f"--features goes with the layout gemel, and {dataset.directory} is {dataset.layout.name}"
            )
        return None
    file = file or find_hdf5(dataset.directory)
    return None if file is None else read_vectors(file, keys)


def _without(splits: dict[str, list[Mention]], vectors: StoredVectors, skip_bad: bool) -> dict[str, list[Mention]]:
    """The mentions without the pictures that have no features. Raises BadData if these are not to be skipped."""
    if not skip_bad:
        raise BadData(list(vectors.absent.values()))
    return {
        split: [
            mention.model_copy(update={"image": None}) if mention.image in vectors.absent else mention
            for mention in mentions
        ]
        for split, mentions in splits.items()
    }


def _tell(dataset: DataSet, out: Path, written: Written, vectors: StoredVectors | None) -> None:
    for note in dataset.notes:
        say(f"note: {note}")
    counts = ", ".join(f"{name} {number:,}" for name, number in written.records.items())
    say(f"{out}: {counts}, pictures {written.pictures:,}")
    if vectors is not None:
        features = how_many(len(vectors.vectors), "picture")
        say(f"Features of {features}: encoder.name=precomputed:{out / FEATURES.parent}+TEXT")
    elif written.missing:
        missing = in_number("{} [picture is|pictures are] named but not there", len(written.missing))
        say(f"{missing}, such as {written.missing[0]}")
