"""`melder link --input`: a file of mentions, linked here or on a cluster."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melder.cli.console import SKIPPED, Unreadable, counting, finish, say
from melder.cli.entity_types import known_types
from melder.cli.mention_file import read_mention_file, say_unplaced
from melder.io.counts import how_many
from melder.records import Link, MelderError, Mention

if TYPE_CHECKING:
    from melder.data.tables.options import TableOptions
    from melder.export.formats import WriterOptions
    from melder.protocols import Linker

__all__ = ["MentionFileJob", "check_files", "link_file", "link_file_on"]


@dataclass(frozen=True)
class MentionFileJob:
    """What a file of mentions is linked with.

    Args:
        images: where the mentions' pictures lie; None = beside the file
        output: where links go; None = standard output
        format_name: of the links; None = that of the ending of `output`
        entity_uri: what stands before an entity's id in formats that have addresses; None = Wikidata's
    """

    run: Path
    data: Path | None
    source: Path
    images: Path | None
    output: Path | None
    format_name: str | None
    entity_uri: str | None
    k: int
    candidates: str | None
    language: str | None
    settings: tuple[str, ...]
    types: tuple[str, ...]
    threshold: float | None
    prior: bool = False
    coherence: bool = False

    @property
    def folder(self) -> Path:
        """The directory that the names of pictures are relative to."""
        return self.images or (Path() if str(self.source) == "-" else self.source.parent)

    @property
    def writer_options(self) -> WriterOptions:
        from melder.export.addresses import ENTITY_PREFIX
        from melder.export.formats import WriterOptions

        return WriterOptions(self.k, self.threshold is not None, self.entity_uri or ENTITY_PREFIX)


def check_files(job: MentionFileJob, *, on_cluster: bool) -> None:
    """Raises MelderError where links cannot be written as they are to be, before anything is done for them."""
    from melder.jobs.mention_file import check_output, output_format

    if job.output is None:
        output_format(None, job.format_name)
        return
    check_output(job.output, job.format_name, without_texts=on_cluster)
    if job.output.exists() and job.source.exists() and job.output.samefile(job.source):
        raise MelderError(f"{job.output}: is the file of mentions itself; write the links to another file")


def link_file(job: MentionFileJob, table: TableOptions) -> None:
    """Link the mentions and say how that went; ends with status 3 when some were left out."""
    from melder.jobs.mention_records import is_unplaced
    from melder.linking.load import load

    mentions, bad = read_mention_file(job.source, table)
    with counting() as start:
        linker = load(
            job.run,
            job.data,
            changes=job.settings,
            candidates=job.candidates,
            language=job.language,
            counting=start,
            prior=job.prior,
            coherence=job.coherence,
        )
    mentions = _with_files(mentions, job.folder)
    unreadable = Unreadable()
    unreadable.watch(linker.model.encoder)
    missing = Counter[str]()
    _link_all(linker, mentions, job, missing)
    say(_summary(linker, mentions, len(unreadable.reasons), job.output))
    say_unplaced(sum(map(is_unplaced, mentions)), len(mentions), "linked")
    for shard, links in missing.items():
        say(
            f"{shard}: gave no answer for {how_many(links, 'link')}, marked `partial`; link these again when it is back"
        )
    finish(bad, list(unreadable.reasons.values()))
    if missing:
        raise typer.Exit(SKIPPED)


def link_file_on(address: str, job: MentionFileJob, table: TableOptions, workers: int | None, threads: int) -> None:
    """The same on a Ray cluster, in shards."""
    from melder.io.problems import Problems
    from melder.jobs.mention_reader import mentions_of
    from melder.jobs.mention_records import is_unplaced
    from melder.jobs.ray.link import ShardJob, link_on

    if job.output is None or str(job.source) == "-" or job.data is not None:
        raise MelderError("--ray links a file to a knowledge base: give --input FILE and --output FILE, not --data")
    shards = ShardJob.of(
        job.run,
        job.folder,
        job.k,
        candidates=job.candidates,
        language=job.language,
        settings=job.settings,
        types=job.types,
        threshold=job.threshold,
    )
    problems = Problems()
    with counting() as start:
        placed = Counter(map(is_unplaced, mentions_of(job.source, Problems(), table)))
        count = sum(placed.values())
        mentions, progress = mentions_of(job.source, problems, table), start("linking mentions", count)
        unreadable = link_on(address, shards, mentions, job.output, progress, workers=workers, threads=threads)
    say_unplaced(placed[True], count, "linked")
    finish(problems.records, list(unreadable.values()))


def _link_all(linker: Linker, mentions: list[Mention], job: MentionFileJob, missing: Counter[str]) -> None:
    """Write the links as they are found; JSON Lines in a file go on where a job was stopped."""
    from melder.export.annotated_text import LinkedMention
    from melder.jobs.link_job import LinkJob, job_key
    from melder.jobs.mention_file import is_lines, links_of, output_format, written

    types = known_types(linker, job.types)
    if job.output is not None and is_lines(job.output, job.format_name):
        about = (job.folder, job.k, job.candidates, job.language, job.settings, job.types, job.threshold, mentions)
        with LinkJob.open(job.output, job_key(job.run, job.data, *about), mentions) as file:
            if file.kept:
                say(f"{job.output}: goes on after {how_many(file.kept, 'link')} of a job that was stopped")
            for block in links_of(linker, mentions, job.folder, job.k, types, file.kept):
                missing.update(shard for link in block for shard in link.missing)
                file.write([link.model_dump_json() for link in _decided(block, job.threshold)])
        return
    links = _decided(
        _noted(chain.from_iterable(links_of(linker, mentions, job.folder, job.k, types)), missing), job.threshold
    )
    linked = (LinkedMention(mention, link) for mention, link in zip(mentions, links, strict=True))
    if job.output is None:
        writer = output_format(None, job.format_name).open(sys.stdout, job.writer_options)
        writer.write(linked)
        writer.finish()
        return
    with written(job.output, job.writer_options, job.format_name) as links_file:
        links_file.write(linked)


def _noted(links: Iterable[Link], missing: Counter[str]) -> Iterator[Link]:
    """The links; counts the shards that are missing in them."""
    for link in links:
        missing.update(link.missing)
        yield link


def _decided(links: Iterable[Link], threshold: float | None) -> Iterator[Link]:
    """The links or, with a threshold, with their answers, which may be none of the candidates."""
    from melder.linking.nil_calibration import decide

    return iter(links) if threshold is None else (decide(link, threshold) for link in links)


def _with_files(mentions: list[Mention], folder: Path) -> list[Mention]:
    """The mentions with their pictures' names as the files below the folder are spelt."""
    from melder.data.picture_names import PictureNames
    from melder.jobs.mention_records import with_file

    names = PictureNames(folder)
    return [with_file(mention, names) for mention in mentions]


def _summary(linker: Linker, mentions: list[Mention], unreadable: int, output: Path | None) -> str:
    """How many mentions were linked, where the links are, and how many pictures were looked at."""
    pictured = len({image for mention in mentions for image in mention.images})
    sees = linker.model.encoder.sizes.image_global is not None
    used = (
        f"{pictured - unreadable:,} of {how_many(pictured, 'picture')} used" if sees else "the encoder sees no pictures"
    )
    linked = f"{output or 'standard output'}: {how_many(len(mentions), 'mention')} linked"
    return f"{linked}; {used if pictured else 'no pictures'}"
