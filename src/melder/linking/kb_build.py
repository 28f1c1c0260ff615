"""Builds knowledge bases and changes them: entities in, sides of the run's model out, a segment at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from melder.data import MODALITIES, EntityFile, UnreadablePicture, entity_items
from melder.data.items import EntityPictures
from melder.data.problems import Problems
from melder.data.writing import claim
from melder.kb import KnowledgeBase, Writer, is_knowledge_base
from melder.kb.manifest import CURRENT, MODEL, SEGMENTS, Identity, Listed, Settings, publish
from melder.kb.packing import Kind, pack
from melder.kb.pictures import Keep, kept_picture
from melder.kb.segment import SEGMENT_ROWS, Contents, Segment, segment_digest, write_segment
from melder.kb.writer import collect, writer_lock
from melder.linking.kb_model import copy_run, identity_of, write_zero_shot
from melder.linking.model import Model
from melder.linking.run import open_run, read_configuration
from melder.protocols import Counting, Progress
from melder.records import BadRecord, Entity, Item, MelderError

__all__ = ["Built", "add_entities", "build", "change_from_file", "encode_segment", "open_model", "remove_entities"]


@dataclass
class Built:
    """How many entities came in, and what was left out.

    skipped: bad records, and names of pictures that are not there
    unreadable: why pictures could not be read; the entities of either are in without them
    """

    entities: int
    skipped: list[BadRecord] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def note(self, rows: int, unreadable: Mapping[str, str]) -> None:
        """Count a segment; of pictures that are not there `skipped` tells already."""
        self.entities += rows
        self.unreadable |= {path: reason for path, reason in unreadable.items() if os.path.isfile(path)}


def build(
    out: Path,
    source: EntityFile,
    *,
    run: Path | None = None,
    encoder: str | None = None,
    kind: Kind = "float16",
    pictures: Keep = "small",
    skip_bad: bool = False,
    counting: Counting,
) -> Built:
    """Build a knowledge base with the model of a run, or with an encoder as it is; one that was killed goes on.

    Finished segments stay when a build is stopped, and the same command takes them up. Raises MelderError when `out`
    is something else, BadData for bad records and missing pictures unless these are to be skipped.
    """
    count, problems = source.check(images=_reads_files(_encoder_of(run, encoder)))
    if problems.records and not (skip_bad and count):
        raise problems.error()
    _claim(out)
    with writer_lock(out):
        _check_unfinished(out)  # again: another build may have ended while this one waited
        _write_model(out, source, run, encoder)
        identity = identity_of(out / MODEL)
        settings = Settings(kind=kind, pictures=pictures, identity=identity)
        model, modalities = open_model(out / MODEL)
        progress, listed, built = counting("encoding entities", count), list[Listed](), Built(0, problems.records)
        for number, entities in enumerate(_batches(source)):
            name = f"{number:06d}-{_fingerprint(entities, source, settings)}"
            one = _segment(out / SEGMENTS / name, entities, source, model, modalities, settings, skip_bad, progress)
            listed.append(Listed(name=name, rows=one.rows, digest=segment_digest(one.path)))
            built.note(one.rows, one.description.unreadable)
        collect(out, publish(out, 1, settings, tuple(listed)))
    return built


def open_model(run: Path) -> tuple[Model, frozenset[str]]:
    """The model of a run, and which modalities of an entity it reads."""
    model, configuration = open_run(run)
    return model, frozenset(configuration.data.modalities)


def add_entities(
    directory: Path,
    entities: Iterable[Entity],
    source: EntityPictures,
    *,
    model: tuple[Model, frozenset[str]] | None = None,
    replace: bool = False,
    skip_bad: bool = False,
) -> Built:
    """Add entities in new segments, or with `replace` put them in the place of those with their ids.

    `model` is the knowledge base's own (`open_model`), opened here when it is not given. All come in together or,
    when anything fails, none. Raises MelderError when an id is there already, or with `replace` is not there.
    """
    built = Built(0)
    with Writer.open(directory) as writer:
        opened = model or open_model(writer.base.model)
        new, replaced, seen, waiting = list[Listed](), list[str](), set[str](), iter(entities)
        while some := list(islice(waiting, SEGMENT_ROWS)):
            _check_known(writer.base, [entity.id for entity in some], replace)
            seen = _check_once(directory, some, seen)
            contents = encode_segment(some, source, *opened, writer.settings, skip_bad)
            new.append(writer.write(contents))
            replaced += [entity.id for entity in some] if replace else []
            built.note(len(some), contents.unreadable)
        if new:
            writer.commit(new, dead=replaced)
    return built


def change_from_file(directory: Path, source: EntityFile, *, replace: bool, skip_bad: bool) -> Built:
    """`add_entities` of a file. Raises BadData for bad records and missing pictures unless these are to be skipped."""
    with KnowledgeBase.open(directory) as base:
        reads_files = _reads_files(base.generation.settings.identity.encoder)
    count, problems = source.check(images=reads_files)
    if problems.records and not (skip_bad and count):
        raise problems.error()
    entities = (entity for _, entity in source.entities(Problems()))
    built = add_entities(directory, entities, source, replace=replace, skip_bad=skip_bad)
    built.skipped = problems.records
    return built


def remove_entities(directory: Path, identities: Collection[str]) -> None:
    """Remove entities by their ids. Raises MelderError, and removes none, when one is not there."""
    with Writer.open(directory) as writer:
        _check_known(writer.base, list(identities), wanted=True)
        if identities:
            writer.commit(dead=identities)


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
    stored = list(_pictures(entities, source, settings, unreadable if skip_bad else None))
    return Contents(entities, pack(side, settings.kind), pictures=stored, unreadable=unreadable)


def _pictures(
    entities: Sequence[Entity], source: EntityPictures, settings: Settings, unreadable: dict[str, str] | None
) -> Iterator[tuple[tuple[int, int], bytes]]:
    keep, needed = settings.pictures, _reads_files(settings.identity.encoder)
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


def _segment(
    path: Path,
    entities: Sequence[Entity],
    source: EntityFile,
    model: Model,
    modalities: frozenset[str],
    settings: Settings,
    skip_bad: bool,
    progress: Progress,
) -> Segment:
    """The segment that is there already, or a new one."""
    if path.is_dir():
        progress(len(entities))
        return Segment(path, segment_digest(path))
    contents = encode_segment(entities, source, model, modalities, settings, skip_bad, progress)
    return Segment(path, write_segment(path, contents, settings.kind))


def _claim(out: Path) -> None:
    """A new or empty directory, or the unfinished knowledge base of an earlier build."""
    _check_unfinished(out)
    if not is_knowledge_base(out):
        claim(out)
    (out / SEGMENTS).mkdir(exist_ok=True)


def _check_unfinished(out: Path) -> None:
    if (out / CURRENT).is_file():
        raise MelderError(
            f"{out}: is a knowledge base already; add to it with `melder kb add`, or name another directory"
        )


def _encoder_of(run: Path | None, encoder: str | None) -> str:
    """The name of the encoder that is to be used. Raises MelderError unless there is just one of the two."""
    if run is not None and encoder is None:
        return read_configuration(run).encoder.name
    if encoder is not None and run is None:
        return encoder
    raise MelderError("name either a run, or with --encoder an encoder that is used as it is")


def _reads_files(encoder: str) -> bool:
    """Whether an encoder of this name opens pictures; their features may be all that there is of them."""
    return not encoder.startswith("precomputed:")


def _write_model(out: Path, source: EntityFile, run: Path | None, encoder: str | None) -> None:
    there = (out / MODEL).is_dir()
    if not there and run is not None:
        copy_run(run, out)
    elif not there and encoder is not None:
        write_zero_shot(out, encoder, source)
    elif not _same(identity_of(out / MODEL), run, encoder):
        raise MelderError(f"{out}: its build was begun with another model; name that one again, or another directory")


def _same(identity: Identity, run: Path | None, encoder: str | None) -> bool:
    return identity == identity_of(run) if run is not None else identity.encoder == encoder


def _batches(source: EntityFile) -> Iterator[list[Entity]]:
    good = (entity for _, entity in source.entities(Problems()))
    while batch := list(islice(good, SEGMENT_ROWS)):
        yield batch


def _fingerprint(entities: Sequence[Entity], source: EntityFile, settings: Settings) -> str:
    """Twelve hexadecimal digits that change with the records, their pictures' sizes and times, and the settings."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for entity in entities:
        digest.update(entity.model_dump_json().encode())
        for name in entity.images:
            digest.update(_stamp(source.entity_image(name)).encode())
    return digest.hexdigest()[:12]


def _stamp(path: Path) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "missing"
    return f"{found.st_size} {found.st_mtime_ns}"


def _check_once(directory: Path, entities: Sequence[Entity], seen: set[str]) -> set[str]:
    """The ids so far. Raises MelderError for one that comes again."""
    for entity in entities:
        if entity.id in seen:
            raise MelderError(f"{directory}: entity {entity.id!r} is given twice; give each its own id")
        seen.add(entity.id)
    return seen


def _check_known(base: KnowledgeBase, identities: Sequence[str], wanted: bool) -> None:
    """Raises MelderError for the ids that are not in the knowledge base, or that are when they should not be."""
    known = base.columns(identities)
    wrong = [each for each in identities if (each in known) != wanted]
    if not wrong:
        return
    listed = ", ".join(map(repr, wrong[:5])) + (f" and {len(wrong) - 5:,} more" if len(wrong) > 5 else "")
    if wanted:
        raise MelderError(f"{base.directory}: holds no entity {listed}; correct the id, or add it with `melder kb add`")
    raise MelderError(f"{base.directory}: holds {listed} already; replace it with `melder kb update`")
