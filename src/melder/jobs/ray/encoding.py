"""The steps of a distributed build: decode on any CPU, encode where the model is, write each segment when it is whole.

A row is a chunk: as many entities as go through the encoder together. What is computed is a function of the chunk
alone, and a chunk is the same wherever it is encoded, on one machine or on many.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import nn

from melder.building.segments import BuildJob, segment_contents
from melder.building.storage import packed
from melder.data import MODALITIES, entity_items
from melder.encoders import Throughput, Towers, batches_of, load_encoder
from melder.features import Features, Side, concatenate
from melder.io.atomic import remove
from melder.jobs.ray.cluster import Cluster
from melder.jobs.ray.tensors import from_bytes, to_bytes
from melder.kb.segment import write_segment
from melder.protocols import Inputs, SideTensor
from melder.records import Entity, Item, MelderError
from melder.runs.directory import open_model, read_configuration
from melder.runs.model import CHUNK
from melder.runs.model_configuration import ModelConfiguration

__all__ = ["EncodeChunk", "Row", "decode_chunk", "entities_of", "write_whole"]

# path, chunk (its number in the segment), entities (JSON Lines), then inputs and side as bytes, and how that is stored
Row = dict[str, Any]


def entities_of(row: Row) -> list[Entity]:
    """The entities of a chunk that was sent.

    Args:
        row: Of a data set of Ray.

    Returns:
        In their order.
    """
    return [Entity.model_validate_json(line) for line in row["entities"].split(b"\n")]


def decode_chunk(row: Row, job: BuildJob, cluster: Cluster) -> Row:
    """Decode the pictures of a chunk and tokenise its texts.

    Args:
        row: Of a data set of Ray.
        job: What is built.
        cluster: Whose settings the worker takes.

    Returns:
        The row, with what the encoder reads and which pictures could not be read.
    """
    cluster.enter()
    encoder, unreadable = _encoder(job.model), dict[str, str]()
    items = _items(row, job, encoder.separator)

    def note(item: Item, error: Exception) -> None:
        unreadable[str(item.image)] = str(error)

    encoder.on_unreadable = note if job.skip_bad else None
    inputs, error = list[bytes](), ""
    first, further = batches_of(items, CHUNK, sees=encoder.sizes.image_global is not None)
    try:
        inputs = [to_bytes(encoder.prepare_distinct(batch)) for _, batch in (*first, *further)]
    except MelderError as wrong:
        error = str(wrong)
    return row | {"inputs": inputs, "unreadable": json.dumps(unreadable), "error": error}


class EncodeChunk:
    """A worker that holds the model: puts the chunk's sides in the place of its inputs.

    Args:
        job: What is built.
        cluster: Whose settings the worker takes.
    """

    def __init__(self, job: BuildJob, cluster: Cluster) -> None:
        cluster.enter()
        self.job = job
        self.model, _ = open_model(job.model)
        self.decoded = Decoded(self.model.encoder)
        self.model.encoder = self.decoded  # type: ignore[assignment]

    def __call__(self, row: Row) -> Row:
        inputs = row.pop("inputs")
        if row["error"]:
            return row | {"side": b"", "declared": ""}
        self.decoded.inputs = map(from_bytes, inputs)
        items = _items(row, self.job, self.decoded.separator)
        declared = {name: asdict(form) for name, form in self.model.matcher.entity_tensors.items()}
        return row | {"side": to_bytes(self.model.entity_side(items)), "declared": json.dumps(declared)}


class Decoded(nn.Module):
    """An encoder that is given what it would prepare."""

    def __init__(self, encoder: Towers) -> None:
        super().__init__()
        self.encoder = encoder
        self.separator, self.sizes = encoder.separator, encoder.sizes
        self.inputs: Iterator[Inputs] = iter(())  # of each batch that it will be asked for
        self.read_picture = None  # they were read
        self.throughput = Throughput()

    def prepare_distinct(self, items: list[Item], read: None = None) -> Inputs:
        return next(self.inputs)

    def forward(self, inputs: Inputs) -> Features:
        features: Features = self.encoder(inputs)
        return features


def write_whole(batch: Any, job: BuildJob, cluster: Cluster) -> dict[str, list[Any]]:
    """Write the segment whose chunks a batch, an Arrow table, is; one that is there already stays as it is.

    Args:
        batch: An Arrow table, whose rows are all chunks of one segment in order.
        job: What is built.
        cluster: Whose settings the worker takes.

    Returns:
        A row that says how many entities there are, or what was wrong.
    """
    cluster.enter()
    rows = batch.to_pylist()
    path = Path(rows[0]["path"])
    if [(row["path"], row["chunk"]) for row in rows] != [(str(path), n) for n in range(rows[0]["chunks"])]:
        raise RuntimeError(f"{path}: its chunks have come in another order than they were sent")
    error = next(filter(None, (row["error"] for row in rows)), "")
    if not error and not path.is_dir():
        try:
            _write(path, rows, job)
        except MelderError as wrong:
            error = str(wrong)
    return {"rows": [sum(len(entities_of(row)) for row in rows)], "error": [error]}


def _write(path: Path, rows: list[Row], job: BuildJob) -> None:
    entities = [entity for row in rows for entity in entities_of(row)]
    side = concatenate([Side(from_bytes(row["side"])) for row in rows])
    unreadable = {name: why for row in rows for name, why in json.loads(row["unreadable"]).items()}
    declared = {name: SideTensor(**form) for name, form in json.loads(rows[0]["declared"]).items()}
    sides = packed(side, job.settings, declared, job.directory)
    contents = segment_contents(entities, job.source, sides, job.settings, job.skip_bad, unreadable)
    attempt = path.with_name(f"{path.name}-{uuid.uuid4().hex}")  # another may be at it, taken for dead
    write_segment(attempt, contents, job.settings.kind)
    _place(attempt, path)


def _place(attempt: Path, path: Path) -> None:
    try:
        os.rename(attempt, path)
    except OSError:
        if not path.is_dir():
            raise
        remove(attempt)  # the other was first, with the same bytes


def _items(row: Row, job: BuildJob, separator: str) -> list[Item]:
    configuration = _configuration(job.model)
    modalities, pictures = frozenset(configuration.data.modalities) & MODALITIES, configuration.pictures
    return entity_items(entities_of(row), job.source, separator, modalities, pictures=pictures)


@lru_cache(maxsize=1)
def _encoder(run: Path) -> Towers:
    return load_encoder(run / "encoder").eval()


@lru_cache(maxsize=1)
def _configuration(run: Path) -> ModelConfiguration:
    return read_configuration(run)
