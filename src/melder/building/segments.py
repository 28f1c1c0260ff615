"""What a segment of a knowledge base is made of: entities, their sides, their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from melder.building.storage import packed
from melder.data import MODALITIES, EntityFile, UnreadablePicture, entity_items
from melder.data.items import EntityPictures
from melder.data.pillow_warnings import silenced
from melder.encoders import Throughput, decodes_pictures, reading_threads
from melder.kb.format.packing import PackedSide
from melder.kb.manifest import KnowledgeBaseSettings
from melder.kb.pictures import kept_picture
from melder.kb.segment import SegmentContents, write_segment
from melder.protocols import Progress
from melder.records import Entity, Item
from melder.runs.directory import open_model
from melder.runs.model import Model

__all__ = [
    "BuildJob",
    "Planned",
    "WriteSegments",
    "encode_segment",
    "segment_contents",
    "write_segments",
]


@dataclass(frozen=True)
class BuildJob:
    """What the segments of a build have in common; `model` is the run inside the knowledge base `directory`.

    Args:
        directory: The knowledge base.
        model: Where the run is.
        source: Of the entities' pictures.
        settings: Of all segments.
        skip_bad: Count pictures that cannot be read as missing.
    """

    directory: Path
    model: Path
    source: EntityFile
    settings: KnowledgeBaseSettings
    skip_bad: bool


Planned = tuple[Path, Sequence[Entity]]  # where a segment is to be, or is already, and what is in it
WriteSegments = Callable[[BuildJob, Iterable[Planned], Progress], Throughput]


def write_segments(job: BuildJob, planned: Iterable[Planned], progress: Progress) -> Throughput:
    """Encode and write the segments that are not there yet, one after the other; returns what was encoded.

    Args:
        job: What segments have in common.
        planned: Where segments are to be, or are already, and what is in them.
        progress: Is told of entities.

    Returns:
        Texts and pictures, and how long they took.
    """
    model, modalities = open_model(job.model)
    for path, entities in planned:
        if path.is_dir():
            progress(len(entities))
            continue
        contents = encode_segment(
            entities, job.source, model, modalities, job.settings, job.directory, job.skip_bad, progress
        )
        write_segment(path, contents, job.settings.kind)
    return model.encoder.throughput


def encode_segment(
    entities: Sequence[Entity],
    source: EntityPictures,
    model: Model,
    modalities: frozenset[str],
    settings: KnowledgeBaseSettings,
    directory: Path,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> SegmentContents:
    """What a segment of these entities holds: a function of them, their pictures, the model and the codebook of the
    knowledge base `directory`, and of nothing else.

    A picture that cannot be read raises, or with `skip_bad` counts as missing and is listed.

    Args:
        entities: Of the segment, in order.
        source: Of their pictures.
        model: Encodes them.
        modalities: What is read of them: text, image.
        settings: How sides and pictures are stored.
        directory: The knowledge base, where the codebook is.
        skip_bad: Count pictures that cannot be read as missing.
        progress: Is told of entities.

    Returns:
        What `write_segment` writes.
    """
    unreadable: dict[str, str] = {}

    def note(item: Item, error: Exception) -> None:
        unreadable[str(item.image)] = str(error)

    model.encoder.on_unreadable = note if skip_bad else None
    pictures = model.matcher.pictures
    items = entity_items(entities, source, model.encoder.separator, modalities & MODALITIES, pictures=pictures)
    side = model.entity_side(items, progress)
    sides = packed(side, settings, model.matcher.entity_tensors, directory)
    return segment_contents(entities, source, sides, settings, skip_bad, unreadable)


def segment_contents(
    entities: Sequence[Entity],
    source: EntityPictures,
    sides: PackedSide,
    settings: KnowledgeBaseSettings,
    skip_bad: bool,
    unreadable: dict[str, str],
) -> SegmentContents:
    """What a segment of these entities with these sides holds; `unreadable` says of which pictures that is known.

    A picture that cannot be read raises, or with `skip_bad` is added to them.

    Args:
        entities: Of the segment, in order.
        source: Of their pictures.
        sides: Theirs, packed.
        settings: How pictures are stored.
        skip_bad: Count pictures that cannot be read as missing.
        unreadable: Reasons by the pictures' paths.

    Returns:
        What `write_segment` writes.
    """
    stored = list(_pictures(entities, source, settings, unreadable if skip_bad else None))
    return SegmentContents(entities, sides, pictures=stored, unreadable=unreadable)


def _pictures(
    entities: Sequence[Entity],
    source: EntityPictures,
    settings: KnowledgeBaseSettings,
    unreadable: dict[str, str] | None,
) -> Iterator[tuple[tuple[int, int], bytes]]:
    keep, needed = settings.pictures, decodes_pictures(settings.identity.encoder)
    if keep == "none":
        return
    paths = {
        (row, number): source.entity_image(name)
        for row, entity in enumerate(entities)
        for number, name in enumerate(entity.images)
    }
    if not needed:  # of some pictures only the features are there
        paths = {place: path for place, path in paths.items() if path.is_file()}
    with silenced(), ThreadPoolExecutor(reading_threads()) as pool:
        contents = [pool.submit(kept_picture, path, keep) for path in paths.values()]
        for (place, path), content in zip(paths.items(), contents, strict=True):
            try:
                yield place, content.result()
            except UnreadablePicture as error:
                if unreadable is None:
                    pool.shutdown(cancel_futures=True)
                    raise
                unreadable[str(path)] = str(error)
