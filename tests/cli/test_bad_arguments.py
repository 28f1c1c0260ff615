"""A mistake in what a command is given is one line that names it, and exit status 2; never a traceback."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Melder
from melder.cli import main
from melder.io.locks import exclusive_lock
from melder.records import MelderError
from training.small import small_run


def test_a_run_of_another_version_is_named(melder: Melder, data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text('{"schema": 99, "melder": "9.0"}')
    for command in (("evaluate", tmp_path / "run"), ("link", tmp_path / "run", "--text", "a fox")):
        line = melder(*command, "--data", data).error
        assert "this run has version 99" in line
        assert "reads version 1" in line


RUN, DATA = object(), object()  # stand for the run and the data set

LINKS: dict[str, tuple[tuple[object, ...], str]] = {
    "no run": (("evaluate", "/no/run", "--data", DATA), "/no/run: is no run"),
    "no data": (("evaluate", RUN, "--data", "/no/data"), "/no/data: does not exist"),
    "no split": (("evaluate", RUN, "--data", DATA, "--split", "holdout"), "has no split 'holdout'"),
    "no knowledge base": (("evaluate", RUN, "--data", DATA, "--kb", "/no/kb"), "/no/kb: does not exist"),
    "text and input": (("link", RUN, "--data", DATA, "--text", "a", "--input", "-"), "give either --text"),
    "neither": (("link", RUN, "--data", DATA), "give either --text"),
    "mention and input": (("link", RUN, "--data", DATA, "--input", "-", "--mention", "fox"), "go with --text"),
    "text and output": (("link", RUN, "--data", DATA, "--text", "a fox", "--output", "x"), "go with --input"),
    "other words": (("link", RUN, "--data", DATA, "--text", "a fox", "--mention", "kite"), "does not occur"),
    "empty mention": (("link", RUN, "--data", DATA, "--text", "a fox", "--mention", ""), "the mention is empty"),
    "no picture": (("link", RUN, "--data", DATA, "--text", "a fox", "--image", "/no.png"), "/no.png"),
    "no input": (("link", RUN, "--data", DATA, "--input", "/no.jsonl"), "/no.jsonl: cannot be read"),
    "input is a directory": (("link", RUN, "--data", DATA, "--input", "/"), "/: cannot be read"),
    "no place for links": (
        ("link", RUN, "--data", DATA, "--input", "-", "--output", "/dev/null/x.jsonl"),
        "/dev/null/x.jsonl",
    ),
    "no place for figures": (("evaluate", RUN, "--data", DATA, "--json", "/dev/null/x.json"), "/dev/null/x.json"),
    "no place for predictions": (
        ("evaluate", RUN, "--data", DATA, "--predictions", "/dev/null/x.jsonl"),
        "/dev/null/x.jsonl",
    ),
    "no place for a report": (("evaluate", RUN, "--data", DATA, "--report", "/dev/null/x.html"), "/dev/null/x.html"),
    "no place for features": (("features", "recipe.yaml", "--out", "/dev/null/x"), "/dev/null/x"),
    "no place for a run": (("train", "recipe.yaml", "--out", "/dev/null/x"), "/dev/null/x"),
    "a directory for figures": (("evaluate", RUN, "--data", DATA, "--json", "."), ".: is a directory"),
}


@pytest.mark.parametrize("case", LINKS)
def test_wrong_arguments_are_named(
    case: str, melder: Melder, small_data: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recipe.parent)
    arguments, words = LINKS[case]
    given = [{id(RUN): small_run(), id(DATA): small_data}.get(id(each), each) for each in arguments]
    record = json.dumps({"id": "1", "text": "a fox", "start": 2, "end": 5, "surface": "fox"})
    assert words in melder(*given, stdin=record.encode()).error


@pytest.mark.parametrize("argument", [b"Guin\xe9e", b"--text=\xff", b"\xed\xa0\x80", b"caf\xe9/kb"])
def test_an_argument_that_is_no_text_is_one_line(
    argument: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["melder", "kb", "show", "kb", os.fsdecode(argument)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr().err
    assert (left.value.code, said.count("\n"), "is no text in utf-8" in said) == (2, 1, True)


def test_a_file_may_have_a_name_that_is_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = os.fsencode(tmp_path) + b"/caf\xe9.jsonl"
    Path(os.fsdecode(file)).write_text('{"id": "Q1", "name": "Coffee"}')
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # as it is but for capsys
    monkeypatch.setattr("sys.argv", ["melder", "kb", "check", os.fsdecode(file)])
    with pytest.raises(SystemExit) as left:
        main()
    assert (left.value.code, capsys.readouterr().err.count("Traceback")) == (0, 0)


@pytest.mark.parametrize("command", ["info", "verify", "list", "compact"])
def test_a_file_in_the_place_of_a_knowledge_base_is_called_that(melder: Melder, tmp_path: Path, command: str) -> None:
    file = tmp_path / "links.jsonl"
    file.touch()
    assert "links.jsonl: is a file; a knowledge base is a directory" in melder("kb", command, file).errors
    assert "is a directory; name a file of entities" in melder("kb", "check", tmp_path).errors


def test_what_cannot_be_locked_is_held_by_nobody() -> None:
    busy, lock = MelderError("another process"), Path("/proc/links.lock")
    with pytest.raises(MelderError, match=r"links\.lock: cannot be made"), exclusive_lock(lock, busy, waits=False):
        pass


def test_the_demo_needs_a_place(melder: Melder) -> None:
    said = melder("demo", "--out", "/dev/null/x")
    assert said.status == 2
    assert said.errors.splitlines()[-1].startswith("melder: cannot write the flags to /dev/null/x")


def test_a_disk_that_is_full_is_no_defect(melder: Melder, small_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def full(path: Path, *arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("melder.evaluation.predictions.write_predictions", full)
    arguments = ("evaluate", small_run(), "--data", small_data, "--predictions", tmp_path / "p.jsonl")
    assert "p.jsonl: No space left on device" in melder(*arguments).error


@pytest.mark.parametrize("arguments", [("link",), ("tarin",), ("evaluate", ".", "--data"), ("link", ".", "-k", "0")])
def test_wrong_usage_ends_with_status_2(melder: Melder, arguments: tuple[str, ...]) -> None:
    said = melder(*arguments)
    assert said.status == 2
    (line,) = said.errors.splitlines()
    assert line.startswith("melder: ")
    assert line.endswith("--help says how")


@pytest.mark.parametrize("option", ["--sides", "--pictures"])
def test_a_word_that_is_no_choice_is_named_in_plain_words(melder: Melder, option: str) -> None:
    line = melder("kb", "build", "--out", "kb", option, "residual3").error
    assert f"Invalid value for '{option}': 'residual3' is not one of" in line


def test_a_finished_run_is_not_trained_again(melder: Melder, recipe: Path) -> None:
    assert "holds a finished run; name another directory" in melder("train", recipe, "--out", small_run()).error


def test_stopping_by_hand_is_no_mistake(melder: Melder, recipe: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("melder.training.loop.train.train", stop)
    said = melder("train", recipe, "--out", tmp_path / "run")
    assert said.status == 130
    assert "Traceback" not in said.errors
