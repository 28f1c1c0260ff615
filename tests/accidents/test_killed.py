"""SIGKILL at every operation of every command that changes a knowledge base: it is the old one or the new one."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from accidents.conftest import Command, holds
from accidents.operations import NO_ROOM, in_a_child
from melder.building import segments as kb_segments

NAMES = ("build", "add", "update", "remove", "compact")


@pytest.mark.parametrize("name", NAMES)
def test_a_process_killed_at_any_operation_leaves_the_old_or_the_new(
    name: str, commands: dict[str, Command], tmp_path: Path
) -> None:
    """Then the same command, given again, does its work, and every block is as it was written."""
    command, found = commands[name], list[str]()
    first = command.begin(tmp_path / "kb")
    moments = in_a_child(lambda: command.run(first)).moments
    for number in range(1, len(moments) + 1):
        directory = command.begin(tmp_path / "kb")
        ended = in_a_child(partial(command.run, directory), at=number)
        assert ended.killed, f"{number}: {ended}"
        found.append(command.look(directory))
    assert sorted(found, reverse=True) == found, "once the new generation is there, it stays"
    assert set(found) == ({"old"} if command.new == command.old else {"old", "new"})
    print(f"faults: kill {name} {len(moments)} kill points, {len(command.seen)} different states left")


@pytest.mark.parametrize("name", ["build", "add", "compact"])
def test_a_disk_that_is_full_from_some_operation_on_leaves_the_old_or_the_new(
    name: str, commands: dict[str, Command], tmp_path: Path
) -> None:
    command, ended, number = commands[name], None, 0
    while ended is None or ended.status:
        number += 3
        directory = command.begin(tmp_path / "kb")
        ended = in_a_child(partial(command.run, directory), NO_ROOM, at=number, onwards=True)
        assert ended.status in (0, 2), ended
        command.look(directory)
    assert number > 30
    print(f"faults: full disk {name} {number // 3 - 1} points")


def test_a_build_that_was_killed_does_not_encode_again_what_is_finished(
    commands: dict[str, Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, encoded = commands["build"], list[int]()
    plain = kb_segments.encode_segment

    def counted(entities: list[object], *arguments: object) -> object:
        encoded.append(len(entities))
        return plain(entities, *arguments)  # type: ignore[arg-type]

    moments = in_a_child(lambda: build.run(tmp_path / "whole")).moments
    monkeypatch.setattr(kb_segments, "encode_segment", counted)
    expected = set[tuple[int, ...]]()
    for number in range(1, len(moments) + 1, 16):
        directory = build.begin(tmp_path / "kb")
        in_a_child(partial(build.run, directory), at=number)
        if (directory / "CURRENT").exists():
            break
        there = [path for path in directory.glob("segments/*") if path.suffix != ".part"]
        encoded.clear()
        build.run(directory)
        assert encoded == [2, 1][len(there) :]
        assert holds(directory) == build.new
        expected.add(tuple(encoded))
    assert expected == {(2, 1), (1,), ()}


def test_a_build_that_fails_before_anything_is_finished_leaves_nothing(
    commands: dict[str, Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    empty = tmp_path / "empty"
    empty.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(kb_segments, "write_segment", fails)
        for directory in (tmp_path / "new", empty):
            with pytest.raises(OSError, match="No space left"):
                commands["build"].run(directory)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not list(empty.iterdir())
    commands["build"].run(empty)
    assert holds(empty) == commands["build"].new
    shutil.rmtree(empty)
