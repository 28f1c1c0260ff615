"""Disks that are really full, files that may not grow, and media that cannot be written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

import melder
from accidents.conftest import Command, holds, silent
from accidents.operations import READ_ONLY, in_a_child
from melder.kb import open_knowledge_base
from melder.kb.inspection import information, verify
from melder.records import MelderError


@contextmanager
def mounted(where: Path, *options: str) -> Iterator[Path]:
    """Mount something; skips the test where that is not permitted."""
    where.mkdir(exist_ok=True)
    if shutil.which("mount") is None or subprocess.run(["mount", *options, where], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.parametrize(("name", "most"), [("build", 1500), ("add", 140), ("compact", 140)])
def test_on_a_disk_that_is_full_a_command_fails_clearly_and_works_once_there_is_room(
    name: str, most: int, commands: dict[str, Command], tmp_path: Path
) -> None:
    command, ended = commands[name], None
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=3m", "tmpfs") as disk:
        refused = 0
        for room in range(0, most, most // 20):  # kB; what is in the way takes the rest
            directory = command.begin(disk / "kb")
            _fill(disk / "in the way", room << 10)
            ended = in_a_child(partial(command.run, directory))
            assert ended.status in (0, 2)
            refused += ended.status == 2
            (disk / "in the way").unlink()
            command.look(directory)
        assert refused > 3
        assert ended is not None
        assert ended.status == 0
    print(f"faults: full tmpfs {name} {refused} refused")


def _fill(path: Path, room: int) -> None:
    """Write a file that leaves so many bytes free."""
    system = os.statvfs(path.parent)
    path.write_bytes(bytes(max(0, system.f_bavail * system.f_frsize - room)))


@pytest.mark.parametrize("name", ["build", "add"])
def test_a_file_that_may_not_grow_further_is_a_clear_error(
    name: str, commands: dict[str, Command], tmp_path: Path
) -> None:
    command, refused = commands[name], 0

    def limited(size: int, directory: Path) -> object:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return command.run(directory)

    for size in (0, 10, 300, 3000, 9000, 20000, 40000, 1 << 22):
        directory = command.begin(tmp_path / "kb")
        ended = in_a_child(partial(limited, size, directory))
        assert ended.status in (0, 2), size
        refused += ended.status == 2
        command.look(directory)
    assert refused >= 5
    assert ended.status == 0
    print(f"faults: RLIMIT_FSIZE {name} {refused} refused")


def _uses(directory: Path) -> None:
    """All that can be done with a knowledge base without changing it."""
    with open_knowledge_base(directory) as base:
        assert information(base)["entities"] == 3
        assert base.search("kite")
    assert verify(directory, silent) == (3, [])
    assert melder.load(directory).link("a red kite", mention="red kite").candidates  # type: ignore[union-attr]


def test_reading_writes_nothing(commands: dict[str, Command]) -> None:
    """On a file system that refuses every change, simulated."""
    start = commands["add"].start
    assert start is not None
    ended = in_a_child(partial(_uses, start), READ_ONLY, at=1, onwards=True)
    assert (ended.status, ended.moments) == (0, ())


def test_read_only_media_are_read_and_a_change_is_refused_in_one_line(
    commands: dict[str, Command], tmp_path: Path
) -> None:
    directory = commands["add"].begin(tmp_path / "kb")
    with mounted(tmp_path / "mounted", "--bind", str(directory)) as where:
        subprocess.run(["mount", "-o", "remount,bind,ro", where], check=True)
        _uses(where)
        changes: list[Callable[[Path], object]] = [
            commands[name].run for name in ("add", "update", "remove", "compact")
        ]
        for change in changes:
            with pytest.raises((OSError, MelderError), match="Read-only file system"):
                change(where)
    assert holds(directory) == commands["add"].old
