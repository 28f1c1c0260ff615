"""Links of a file of mentions, written as they are found: a job that was stopped goes on where it stopped.

They go to OUTPUT.KEY.part, a group at a time, and that file gets the name OUTPUT at the end. KEY stands for all that
the links depend on (mentions, knowledge base or run and data, settings), so that what another job has left is never
taken up. Groups begin at the same mentions whether a job was stopped or not: what is written is byte by byte the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

import melder
from melder.io.atomic import PART, finish_file
from melder.io.locks import exclusive_lock
from melder.kb import is_knowledge_base
from melder.kb.shards import current_files
from melder.linking.nil_calibration import FILE as NIL
from melder.records import MelderError, Mention

__all__ = ["LinkJob", "job_key"]

LOCK = ".lock"


class _Written(BaseModel):
    """What is looked at of a link that an earlier process has written."""

    model_config = ConfigDict(extra="ignore")

    id: str


class LinkJob:
    """The file that links of mentions are written to, inside `with LinkJob.open(…) as job`.

    Args:
        file: Open, behind the links that it keeps.
        kept: Links of the first mentions, which are there already.
    """

    def __init__(self, file: BinaryIO, kept: int) -> None:
        self._file = file
        self.kept = kept  # links of the first mentions, which are there already

    @staticmethod
    @contextmanager
    def open(output: Path, key: str, mentions: Sequence[Mention]) -> Iterator[LinkJob]:
        """Take up or begin the job; at the end, unless something is raised, `output` is there.

        Raises:
            MelderError: Another process is writing there, at this job or another one.
        """
        part = output.with_name(f"{output.name}.{key}{PART}")
        with _alone(output):
            for other in _parts(output):
                if other != part:
                    other.unlink()
            with part.open("a+b") as file:
                yield LinkJob(file, _keep(file, mentions))
            finish_file(part, output)

    def write(self, lines: Sequence[str]) -> None:
        """Add links to those that are there, and have the system know of them."""
        self._file.write("".join(line + "\n" for line in lines).encode())
        self._file.flush()


def job_key(run: Path, data: Path | None, *settings: object) -> str:
    """Twelve hexadecimal digits that change with what links depend on: a knowledge base, or a run and its data set.

    Args:
        run: Of a run or a knowledge base.
        data: The data set that the run searches.
        settings: Whatever else links depend on.

    Returns:
        The digits.
    """
    files = [*current_files(run), run / NIL] if is_knowledge_base(run) else sorted(run.rglob("*"))
    if data is not None:
        files += [*current_files(data), data / NIL] if is_knowledge_base(data) else sorted(data.iterdir())
    stamps = [(str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in files if each.is_file()]
    content = json.dumps([melder.__version__, stamps, *map(str, settings)])
    return hashlib.sha256(content.encode()).hexdigest()[:12]


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold OUTPUT.lock, which is removed again: only a process that is killed leaves it, and then it locks nothing."""
    lock = output.with_name(output.name + LOCK)
    busy = MelderError(f"{output}: another process is writing these links; wait for it, or stop it")
    with exclusive_lock(lock, busy, waits=False):
        try:
            yield
        finally:
            with suppress(OSError):  # a disk that changes nothing any more has had its error already
                lock.unlink()


def _parts(output: Path) -> list[Path]:
    """What jobs that were stopped have left of this output."""
    pattern = re.compile(re.escape(output.name) + r"\.[0-9a-f]{12}" + re.escape(PART))
    return [path for path in output.parent.iterdir() if pattern.fullmatch(path.name)]


def _keep(file: BinaryIO, mentions: Sequence[Mention]) -> int:
    """Cut off what is behind the last whole line that is the next mention's link; gives how many are kept."""
    kept = size = 0
    file.seek(0)
    for line, mention in zip(file, mentions, strict=False):
        if not line.endswith(b"\n") or _identity(line) != mention.id:
            break
        kept, size = kept + 1, size + len(line)
    file.truncate(size)
    return kept


def _identity(line: bytes) -> str | None:
    try:
        return _Written.model_validate_json(line).id
    except ValidationError:
        return None
