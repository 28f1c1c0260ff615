"""The directory of a build: a new one, or that of a build that was stopped, for one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melder.data.writing import claim
from melder.io.atomic import PART, remove
from melder.kb import is_knowledge_base
from melder.kb.manifest import CURRENT, SEGMENTS, SHARDS
from melder.kb.writer import writer_lock
from melder.records import MelderError

__all__ = ["build_lock"]


@contextmanager
def build_lock(out: Path) -> Iterator[None]:
    """Hold a new or empty directory, or the unfinished knowledge base of an earlier build.

    When all fails before there is a segment that a further build could go on with, what was made is removed again.

    Args:
        out: The directory.

    Yields:
        Nothing; the lock is held within.

    Raises:
        MelderError: It holds something else, or another build is at it.
    """
    _check_unfinished(out)
    there, begun = out.is_dir(), is_knowledge_base(out)
    if not begun:
        claim(out)
    (out / SEGMENTS).mkdir(exist_ok=True)
    with writer_lock(out):
        _check_unfinished(out)  # again: another build may have ended while this one waited
        try:
            yield
        except BaseException:
            if not begun and not any(path.suffix != PART for path in (out / SEGMENTS).iterdir()):
                _empty(out, keep=there)
            raise


def _empty(out: Path, *, keep: bool) -> None:
    for path in out.iterdir():
        remove(path)
    if not keep:
        out.rmdir()


def _check_unfinished(out: Path) -> None:
    if (out / SHARDS).is_file():
        raise MelderError(f"{out}: is a set of shards; name another directory, and add it with `melder kb shard`")
    if (out / CURRENT).is_file():
        raise MelderError(
            f"{out}: is a knowledge base already; add to it with `melder kb add`, or name another directory"
        )
