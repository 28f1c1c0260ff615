"""The directory of a training: a new one, or that of one that was stopped, for one training at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from melder.io.atomic import PART, replace_file
from melder.io.locks import exclusive_lock
from melder.records import MelderError
from melder.runs.configuration_file import read_yaml
from melder.runs.directory import is_finished_run

__all__ = ["run_lock"]

LOCK, CONFIGURATION = "training.lock", "config.yaml"


@contextmanager
def run_lock(out: Path, configuration: dict[str, Any]) -> Iterator[None]:
    """Hold the directory of a run, with its configuration in it for a later resumption.

    Of several processes of one training the first holds it.

    Args:
        out: The directory, which is made where it is missing.
        configuration: Of this training, as it is written to config.yaml.

    Yields:
        Nothing, while the directory is held.

    Raises:
        MelderError: Another training writes there; it holds something else; nothing can be written there.
    """
    if rank_zero_only.rank:
        yield
        return
    _check_free(out, configuration)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from None
    busy = MelderError(f"{out}: another process trains into this directory; wait for it, or name another directory")
    with exclusive_lock(out / LOCK, busy, waits=False):
        _check_free(out, configuration)  # again: another training may have ended meanwhile
        try:
            replace_file(out / CONFIGURATION, yaml.safe_dump(configuration, sort_keys=False).encode())
        except OSError as error:
            raise _unwritable(out, error) from None
        try:
            yield
        finally:
            with suppress(OSError):  # a disk that changes nothing any more has had its error already
                (out / LOCK).unlink()


def _check_free(out: Path, configuration: dict[str, Any]) -> None:
    """Refuse a directory that holds something else."""
    if is_finished_run(out):
        raise MelderError(f"{out}: holds a finished run; name another directory, or remove this one first")
    started = out / CONFIGURATION
    if started.is_file() and read_yaml(started) != configuration:
        raise MelderError(
            f"{started}: belongs to an interrupted training with other settings; repeat them to go on, or remove {out}"
        )
    begun = {LOCK, CONFIGURATION, CONFIGURATION + PART}
    if out.is_dir() and not started.is_file() and any(path.name not in begun for path in out.iterdir()):
        raise MelderError(f"{out}: is not empty and holds no run; name another directory")


def _unwritable(out: Path, error: OSError) -> MelderError:
    return MelderError(f"{out}: no run can be written there ({error.strerror}); make room, or name another directory")
