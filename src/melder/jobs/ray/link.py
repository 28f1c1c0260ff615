"""A corpus of mentions, linked on a Ray cluster: shards of 4,096 mentions, each linked by a worker that has the linker.

A shard is written as JSON Lines beside the output, under a name that changes with all that its links depend on, and
gets that name when it is whole: one that is there is not linked again. At the end they are put together in order. The
links are those of one machine, byte for byte, for the same mentions are encoded and scored together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from melder.export.annotated_text import LinkedMention
from melder.export.formats import WriterOptions
from melder.io.atomic import remove, replacing
from melder.jobs.mention_file import links_of, written
from melder.jobs.ray.cluster import Cluster, connected, counts
from melder.kb.shards import current_files
from melder.linking.load import load
from melder.linking.nil_calibration import FILE as NIL
from melder.linking.nil_calibration import decide
from melder.protocols import Linker, Progress
from melder.records import Decided, Item, Link, MelderError, Mention

__all__ = ["ShardJob", "link_on"]

SHARD_ROWS = 4096  # mentions that a worker links and writes together
AT_ONCE = 64  # shards a wave: their mentions are held where the job was started


@dataclass(frozen=True)
class ShardJob:
    """What the shards of a job have in common.

    Args:
        knowledge_base: Its directory.
        state: The generation of it that the job is about.
        folder: That names of pictures are relative to.
        k: Candidates of a link.
        candidates: The name of a search; None = all entities are scored.
        settings: `method.key=value` settings.
        types: Of entities that are looked for; none = all.
        threshold: The NIL probability from which on the answer is "none of these"; None = none.
        language: In which entities are named; None = as they are written.
    """

    knowledge_base: Path
    state: str
    folder: Path
    k: int
    candidates: str | None
    settings: tuple[str, ...]
    types: tuple[str, ...]
    threshold: float | None
    language: str | None = None

    @staticmethod
    def of(knowledge_base: Path, folder: Path, k: int, **options: Any) -> ShardJob:
        return ShardJob(knowledge_base, state_of(knowledge_base), folder, k, **options)


def state_of(knowledge_base: Path) -> str:
    """What changes when the knowledge base or its calibration does.

    Raises:
        MelderError: There is none.
    """
    try:
        nil = knowledge_base / NIL
        return "".join(path.read_text() for path in [*current_files(knowledge_base), *([nil] if nil.is_file() else [])])
    except OSError:
        raise MelderError(
            f"{knowledge_base}: is no knowledge base; workers need one (each would encode a data set again): make it "
            "with `melder kb build`"
        ) from None


def link_on(
    address: str,
    job: ShardJob,
    mentions: Iterable[Mention],
    output: Path,
    progress: Progress,
    *,
    workers: int | None = None,
    threads: int = 1,
) -> dict[str, str]:
    """Link mentions on a cluster of Ray, and write their links.

    Args:
        address: Of the cluster, or `local`.
        job: What the shards have in common.
        mentions: Asked for as they are sent.
        output: The file of links.
        progress: Told how many mentions were linked.
        workers: That link; None = as many as fit.
        threads: Of each.

    Returns:
        By the name of a picture that could not be read, why.
    """
    shards, paths = output.with_name(output.name + ".shards"), list[Path]()
    shards.mkdir(parents=True, exist_ok=True)
    with connected(address, workers, threads, spare=0) as cluster:
        missing = _missing(job, mentions, shards, paths, progress)
        while wave := list(islice(missing, AT_ONCE)):
            for done in _wave(wave, job, cluster):
                progress(done)
    with written(output, WriterOptions(job.k, job.threshold is not None)) as file:
        for path in paths:
            file.write(LinkedMention(Mention(id=link.id), link) for link in _links(path, job))
    unreadable = {name: why for path in paths for name, why in json.loads(_beside(path).read_bytes()).items()}
    remove(shards)
    return unreadable


def _wave(rows: list[dict[str, Any]], job: ShardJob, cluster: Cluster) -> Iterator[int]:
    import ray.data

    shards = ray.data.from_items(rows, override_num_blocks=len(rows))
    yield from counts(shards.map(LinkShard, fn_constructor_args=(job, cluster), **cluster.actors(len(rows))))


def _missing(
    job: ShardJob, mentions: Iterable[Mention], shards: Path, paths: list[Path], progress: Progress
) -> Iterator[dict[str, Any]]:
    """The shards that are not there yet; the path of every one goes to `paths`."""
    waiting = iter(mentions)
    while shard := list(islice(waiting, SHARD_ROWS)):
        lines = b"\n".join(mention.model_dump_json().encode() for mention in shard)
        digest = hashlib.sha256(repr(job).encode() + lines).hexdigest()
        paths.append(shards / f"{len(paths):06d}-{digest[:12]}.jsonl")
        if paths[-1].is_file():
            progress(len(shard))
        else:
            yield {"path": str(paths[-1]), "mentions": lines}


class LinkShard:
    """A worker that holds the linker."""

    def __init__(self, job: ShardJob, cluster: Cluster) -> None:
        cluster.enter()
        self.job = job
        self._linker: Linker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"rows": self._link(row), "error": ""}
        except MelderError as error:
            return {"rows": 0, "error": str(error)}

    @property
    def linker(self) -> Linker:
        """Opened when it is needed: what is wrong with it can be answered then."""
        if self._linker is None:
            job = self.job
            linker = load(job.knowledge_base, changes=job.settings, candidates=job.candidates, language=job.language)
            if state_of(job.knowledge_base) != job.state:
                changed = "was changed while mentions were linked to it; run the job again"
                raise MelderError(f"{job.knowledge_base}: {changed}")
            self._linker = linker
        return self._linker

    def _link(self, row: dict[str, Any]) -> int:
        mentions = [Mention.model_validate_json(line) for line in row["mentions"].split(b"\n")]
        unreadable: dict[str, str] = {}

        def note(item: Item, error: Exception) -> None:
            unreadable[str(item.image)] = str(error)

        self.linker.model.encoder.on_unreadable = note
        links = links_of(self.linker, mentions, self.job.folder, self.job.k, self.linker.known_types(self.job.types))
        decided = (self._decided(link) for block in links for link in block)
        _write(Path(row["path"]), [link.model_dump_json() + "\n" for link in decided], unreadable)
        return len(mentions)

    def _decided(self, link: Link) -> Link:
        return link if self.job.threshold is None else decide(link, self.job.threshold)


def _write(path: Path, lines: Sequence[str], unreadable: dict[str, str]) -> None:
    """The links last: where they are, the rest is too. Another worker may be at it, taken for dead."""
    for each, content in ((_beside(path), json.dumps(unreadable)), (path, "".join(lines))):
        with replacing(each, attempt=True) as part:
            part.write_text(content, encoding="utf-8", newline="\n")


def _beside(path: Path) -> Path:
    return path.with_suffix(".unreadable.json")


def _links(path: Path, job: ShardJob) -> Iterator[Link]:
    kind = Link if job.threshold is None else Decided
    with path.open("rb") as file:
        for line in file:
            yield kind.model_validate_json(line)
