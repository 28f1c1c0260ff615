"""Builds knowledge bases and changes them: entities in, sides of the run's model out, a segment at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from melder.building.lock import build_lock
from melder.building.model import copy_run, identity_of
from melder.building.segments import (
    BuildJob,
    Planned,
    WriteSegments,
    encode_segment,
    write_segments,
)
from melder.building.storage import with_codebook
from melder.building.zero_shot import write_zero_shot
from melder.data import EntityFile
from melder.data.items import EntityPictures
from melder.encoders import Throughput, decodes_pictures
from melder.io.problems import Problems
from melder.kb import KnowledgeBase, Writer, open_knowledge_base
from melder.kb.exemplars import dead_rows
from melder.kb.format.rounding import StorageDtype
from melder.kb.manifest import MODEL, SEGMENTS, Identity, KnowledgeBaseSettings, SegmentEntry, publish
from melder.kb.pictures import Keep
from melder.kb.segment import SEGMENT_ROWS, Segment, segment_digest
from melder.kb.writer import collect_garbage
from melder.protocols import Counting, Progress
from melder.records import BadRecord, Entity, MelderError
from melder.runs.directory import open_model, read_configuration
from melder.runs.model import Model

__all__ = ["Built", "add_entities", "build", "change_from_file", "encode_segment", "remove_entities"]


@dataclass
class Built:
    """How many entities came in, and what was left out.

    Args:
        skipped: Bad records, and names of pictures that are not there.
        unreadable: Why pictures could not be read; the entities of either are in without them.
        throughput: What was encoded.
    """

    entities: int
    skipped: list[BadRecord] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    throughput: Throughput = field(default_factory=Throughput, compare=False)

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
    kind: StorageDtype = "float16",
    tokens: int | None = None,
    pictures: Keep = "small",
    skip_bad: bool = False,
    counting: Counting,
    write: WriteSegments = write_segments,
) -> Built:
    """Build a knowledge base with the model of a run, or with an encoder as it is; one that was killed goes on.

    Finished segments stay when a build is stopped, and the same command takes them up. `write` is what encodes and
    writes them.

    Args:
        out: The directory; new, empty, or that of a build which was stopped.
        source: Of the entities.
        run: Whose model encodes them; or `encoder`.
        encoder: The specification of an encoder that is used as it is.
        kind: How numbers of sides are stored.
        tokens: How many an entity keeps of a modality, of units that allow it: those that are most alike are merged;
            None = all.
        pictures: What is kept of them: small copies, the original files, or none.
        skip_bad: Leave bad records out, and count pictures that cannot be read as missing.
        counting: Starts a progress bar with a title and a total.
        write: Encodes and writes the segments, here or elsewhere.

    Returns:
        How many entities there are, and what was skipped.

    Raises:
        MelderError: `out` is something else.
        BadData: Bad records and missing pictures unless these are to be skipped.
    """
    count, problems = source.check(images=decodes_pictures(_encoder_of(run, encoder)))
    if problems.records and not (skip_bad and count):
        raise problems.error()
    with build_lock(out):
        _write_model(out, source, run, encoder, count, counting)
        identity = identity_of(out / MODEL)
        settings = KnowledgeBaseSettings(kind=kind, pictures=pictures, identity=identity, tokens=tokens)
        settings = with_codebook(out, out / MODEL, source, settings, count, counting)
        job, paths = BuildJob(out, out / MODEL, source, settings, skip_bad), list[Path]()
        throughput = write(job, _planned(out, job, paths), counting("encoding entities", count))
        listed, built = list[SegmentEntry](), Built(0, problems.records, throughput=throughput)
        for path in paths:
            segment = Segment(path, digest := segment_digest(path))
            listed.append(SegmentEntry(name=path.name, rows=segment.rows, digest=digest))
            built.note(segment.rows, segment.description.unreadable)
        collect_garbage(out, publish(out, 1, settings, tuple(listed)))
    return built


def add_entities(
    directory: Path,
    entities: Iterable[Entity],
    source: EntityPictures,
    *,
    model: tuple[Model, frozenset[str]] | None = None,
    replace: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Add entities in new segments, or with `replace` put them in the place of those with their ids.

    `model` is the knowledge base's own (`open_model`), opened here when it is not given; `progress` is told of
    entities. All come in together or, when anything fails, none.

    Args:
        directory: Of the knowledge base.
        entities: With ids of their own.
        source: Of their pictures.
        model: The knowledge base's own (`open_model`); None = it is opened.
        replace: Put them in the place of those with their ids.
        skip_bad: Count pictures that cannot be read as missing.
        progress: Is told of entities.

    Returns:
        How many entities were written, and what was skipped.

    Raises:
        MelderError: An id is there already, or with `replace` is not there.
    """
    built = Built(0)
    with Writer.open(directory) as writer:
        opened = model or open_model(writer.base.model)
        new, replaced, added, waiting = list[SegmentEntry](), list[str](), set[str](), iter(entities)
        while batch := list(islice(waiting, SEGMENT_ROWS)):
            _check_known(writer.base, [entity.id for entity in batch], replace)
            added = _check_once(directory, batch, added)
            contents = encode_segment(batch, source, *opened, writer.settings, directory, skip_bad, progress)
            new.append(writer.write(contents))
            replaced += [entity.id for entity in batch] if replace else []
            built.note(len(batch), contents.unreadable)
        if new:
            writer.commit(new, deleted=replaced)
    return built


def change_from_file(
    directory: Path, source: EntityFile, *, replace: bool, skip_bad: bool, counting: Counting | None = None
) -> Built:
    """`add_entities` of a file.

    Args:
        directory: Of the knowledge base.
        source: Of the entities.
        replace: Put them in the place of those with their ids.
        skip_bad: Leave bad records out, and count pictures that cannot be read as missing.
        counting: Starts a progress bar with a title and a total.

    Returns:
        How many entities were written, and what was skipped.

    Raises:
        BadData: Bad records and missing pictures unless these are to be skipped.
    """
    with open_knowledge_base(directory) as base:
        opens = decodes_pictures(base.generation.settings.identity.encoder)
    count, problems = source.check(images=opens)
    if problems.records and not (skip_bad and count):
        raise problems.error()
    entities = (entity for _, entity in source.entities(Problems()))
    progress = counting("encoding entities", count) if counting else None
    built = add_entities(directory, entities, source, replace=replace, skip_bad=skip_bad, progress=progress)
    built.skipped = problems.records
    return built


def remove_entities(directory: Path, identities: Collection[str]) -> None:
    """Remove entities by their ids, and what was learned of them.

    Args:
        directory: Of the knowledge base.
        identities: Ids of entities.

    Raises:
        MelderError: One is not there; none is removed then.
    """
    with Writer.open(directory) as writer:
        _check_known(writer.base, list(identities), wanted=True)
        if identities:
            known, gone = writer.base.generation.exemplars, frozenset(identities)
            exemplars = dead_rows(directory, known, lambda record: record.entity in gone)
            writer.commit(deleted=identities, exemplars=exemplars)


def _encoder_of(run: Path | None, encoder: str | None) -> str:
    """The name of the encoder that is to be used. Raises MelderError unless there is just one of the two."""
    if run is not None and encoder is None:
        return read_configuration(run).encoder.name
    if encoder is not None and run is None:
        return encoder
    raise MelderError("name either a run, or with --encoder an encoder that is used as it is")


def _write_model(
    out: Path, source: EntityFile, run: Path | None, encoder: str | None, count: int, counting: Counting
) -> None:
    there = (out / MODEL).is_dir()
    if not there and run is not None:
        copy_run(run, out)
    elif not there and encoder is not None:
        write_zero_shot(out, encoder, source, count, counting)
    elif not _same(identity_of(out / MODEL), run, encoder):
        raise MelderError(f"{out}: its build was begun with another model; name that one again, or another directory")


def _same(identity: Identity, run: Path | None, encoder: str | None) -> bool:
    return identity == identity_of(run) if run is not None else identity.encoder == encoder


def _planned(out: Path, job: BuildJob, paths: list[Path]) -> Iterator[Planned]:
    """Every segment of a build, in order; its path goes to `paths` when it is asked for."""
    for number, entities in enumerate(_batches(job.source)):
        name = f"{number:06d}-{_fingerprint(entities, job.source, job.settings)}"
        paths.append(out / SEGMENTS / name)
        yield paths[-1], entities


def _batches(source: EntityFile) -> Iterator[list[Entity]]:
    good = (entity for _, entity in source.entities(Problems()))
    while batch := list(islice(good, SEGMENT_ROWS)):
        yield batch


def _fingerprint(entities: Sequence[Entity], source: EntityFile, settings: KnowledgeBaseSettings) -> str:
    """Twelve hexadecimal digits that change with the records, their pictures' sizes and times, and the settings."""
    digest = hashlib.sha256(settings.model_dump_json(exclude_defaults=True).encode())
    for entity in entities:
        digest.update(entity.model_dump_json().encode())
        for name in entity.images:
            digest.update(_stamp(source.entity_image(name)).encode())
    return digest.hexdigest()[:12]


def _stamp(path: Path) -> str:
    try:
        stat = os.stat(path)
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _check_once(directory: Path, entities: Sequence[Entity], seen: set[str]) -> set[str]:
    """The ids so far. Raises MelderError for one that comes again."""
    for entity in entities:
        if entity.id in seen:
            raise MelderError(f"{directory}: entity {entity.id!r} is given twice; give each its own id")
        seen.add(entity.id)
    return seen


def _check_known(base: KnowledgeBase, identities: Sequence[str], wanted: bool) -> None:
    """Raises MelderError for the ids that are not in the knowledge base, or that are when they should not be."""
    rows = base.rows(identities)
    wrong = [identity for identity in identities if (identity in rows) != wanted]
    if not wrong:
        return
    listed = ", ".join(map(repr, wrong[:5])) + (f" and {len(wrong) - 5:,} more" if len(wrong) > 5 else "")
    if wanted:
        raise MelderError(f"{base.directory}: holds no entity {listed}; correct the id, or add it with `melder kb add`")
    raise MelderError(f"{base.directory}: holds {listed} already; replace it with `melder kb update`")
