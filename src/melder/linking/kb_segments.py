"""What a segment of a knowledge base is made of: entities, their sides, their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from melder.data import MODALITIES, EntityFile, UnreadablePicture, entity_items
from melder.data.items import EntityPictures
from melder.features import Side
from melder.kb.manifest import Settings
from melder.kb.packing import pack
from melder.kb.pictures import kept_picture
from melder.kb.segment import Contents, write_segment
from melder.linking.model import Model
from melder.linking.run import open_run
from melder.protocols import Progress
from melder.records import Entity, Item

__all__ = [
    "Job",
    "Planned",
    "WriteSegments",
    "encode_segment",
    "open_model",
    "reads_files",
    "segment_contents",
    "write_segments",
]


@dataclass(frozen=True)
class Job:
    """What the segments of a build have in common; `model` is the run inside the knowledge base."""

    model: Path
    source: EntityFile
    settings: Settings
    skip_bad: bool


Planned = tuple[Path, Sequence[Entity]]  # where a segment is to be, or is already, and what is in it
WriteSegments = Callable[[Job, Iterable[Planned], Progress], None]


def write_segments(job: Job, planned: Iterable[Planned], progress: Progress) -> None:
    """Encode and write the segments that are not there yet, one after the other."""
    model, modalities = open_model(job.model)
    for path, entities in planned:
        if path.is_dir():
            progress(len(entities))
            continue
        contents = encode_segment(entities, job.source, model, modalities, job.settings, job.skip_bad, progress)
        write_segment(path, contents, job.settings.kind)


def open_model(run: Path) -> tuple[Model, frozenset[str]]:
    """The model of a run, and which modalities of an entity it reads."""
    model, configuration = open_run(run)
    return model, frozenset(configuration.data.modalities)


def encode_segment(
    entities: Sequence[Entity],
    source: EntityPictures,
    model: Model,
    modalities: frozenset[str],
    settings: Settings,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Contents:
    """What a segment of these entities holds: a function of them, their pictures and the model, and of nothing else.

    A picture that cannot be read raises, or with `skip_bad` counts as missing and is listed.
    """
    unreadable: dict[str, str] = {}

    def note(item: Item, error: Exception) -> None:
        unreadable[str(item.image)] = str(error)

    model.encoder.on_unreadable = note if skip_bad else None
    items = entity_items(entities, source, model.encoder.separator, modalities & MODALITIES)
    side = model.entity_side(items, progress)
    return segment_contents(entities, source, side, settings, skip_bad, unreadable)


def segment_contents(
    entities: Sequence[Entity],
    source: EntityPictures,
    side: Side,
    settings: Settings,
    skip_bad: bool,
    unreadable: dict[str, str],
) -> Contents:
    """What a segment of these entities with these sides holds; `unreadable` says of which pictures that is known.

    A picture that cannot be read raises, or with `skip_bad` is added to them.
    """
    stored = list(_pictures(entities, source, settings, unreadable if skip_bad else None))
    return Contents(entities, pack(side, settings.kind), pictures=stored, unreadable=unreadable)


def _pictures(
    entities: Sequence[Entity], source: EntityPictures, settings: Settings, unreadable: dict[str, str] | None
) -> Iterator[tuple[tuple[int, int], bytes]]:
    keep, needed = settings.pictures, reads_files(settings.identity.encoder)
    for row, entity in enumerate(entities if keep != "none" else ()):
        for number, name in enumerate(entity.images):
            path = source.entity_image(name)
            if not needed and not path.is_file():
                continue  # only its features are there
            try:
                yield (row, number), kept_picture(path, keep)  # type: ignore[arg-type]
            except UnreadablePicture as error:
                if unreadable is None:
                    raise
                unreadable[str(path)] = str(error)


def reads_files(encoder: str) -> bool:
    """Whether an encoder of this name opens pictures; their features may be all that there is of them."""
    return not encoder.startswith("precomputed:")
