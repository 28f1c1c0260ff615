"""`melder compare` and `melder report`, on predictions of a small run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Melder
from training.small import read_lines, small_run, write_lines

Predictions = Callable[[str], Path]


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory, small_data: Path) -> Path:
    """What `melder evaluate --predictions` writes of dev."""
    from melder.evaluation.evaluate import evaluate_run
    from melder.evaluation.predictions import write_predictions

    path = tmp_path_factory.mktemp("predictions") / "dev.jsonl"
    found = evaluate_run(small_run(), small_data, "dev", counting=lambda title, total: lambda done: None)
    write_predictions(path, found.predictions)
    return path


@pytest.fixture
def worse(stored: Path, tmp_path: Path) -> Path:
    """The same, but for two mentions whose gold entity is put to the second place."""
    rows = read_lines(stored)
    right = [row for row in rows if row["rank_pessimistic"] == 1][:2]
    assert len(right) == 2
    for row in right:
        row |= {"rank_optimistic": 2, "rank_pessimistic": 2, "candidates": row["candidates"][1::-1]}
    write_lines(tmp_path / "worse.jsonl", rows)
    return tmp_path / "worse.jsonl"


def changed(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    rows = read_lines(path)
    change(rows)
    write_lines(path, rows)
    return path


def test_compare_prints_figures_and_who_wins(
    melder: Melder, stored: Path, worse: Path, small_data: Path, tmp_path: Path
) -> None:
    files = ("--html", tmp_path / "c.html", "--json", tmp_path / "c.json")
    said = melder("compare", worse, stored, "--data", small_data, *files, "--examples", 1)
    assert said.status == 0, said.errors
    hits = next(line for line in said.out.splitlines() if "H@1" in line)
    assert f"+{100 * 2 / 13:.1f}" in hits
    assert "0.500" in hits  # two mentions differ, both to one side: 2 of 4 assignments of signs
    assert "only A 0, only B 2" in said.out
    assert said.out.count("Only B is right, mention dev-") == 1
    assert "A: gold at rank 2" in said.out
    assert "picture " in said.out
    figures = json.loads((tmp_path / "c.json").read_text())
    assert (figures["mentions"], len(figures["only_b_right"]), figures["only_a_right"]) == (13, 2, [])
    assert "<!doctype html>" in (tmp_path / "c.html").read_text()
    assert str(tmp_path / "c.html") in said.errors


def test_compare_says_who_is_better_and_names_method_and_run(
    melder: Melder, stored: Path, small_data: Path, tmp_path: Path
) -> None:
    run = small_run()
    evaluated = ("evaluate", run, "--data", small_data, "--predictions", tmp_path / "named.jsonl")
    assert melder(*evaluated).status == 0
    said = " ".join(melder("compare", stored, tmp_path / "named.jsonl").out.split())
    assert said.startswith("No difference shown: A and B have the same Hits@1 (95 % interval +0.0 to +0.0,")
    assert f"A = {stored}".replace(" ", "") in said.replace(" ", "")  # nobody noted what made it
    assert f"B=m3el,{run}" in said.replace(" ", "")


def test_compare_needs_no_data_set(melder: Melder, stored: Path, worse: Path) -> None:
    said = melder("compare", stored, worse)
    assert (said.status, said.errors) == (0, "")
    assert "Only A is right, mention dev-" in said.out
    assert "right answer: Q" in said.out
    assert "picture " not in said.out


def test_compare_names_what_does_not_fit(
    melder: Melder, stored: Path, worse: Path, small_data: Path, tmp_path: Path
) -> None:
    assert "--kb goes with --data" in melder("compare", stored, worse, "--kb", small_data).error
    assert "/no.jsonl: cannot be read" in melder("compare", stored, "/no.jsonl").error
    assert "/dev/null/x.html" in melder("compare", stored, worse, "--html", "/dev/null/x.html").error
    assert "/no/data: does not exist" in melder("compare", stored, worse, "--data", "/no/data").error
    assert "worse.jsonl, record 1" in melder("compare", changed(worse, spoil), stored).error
    fewer = melder("compare", changed(worse, mend_and_shorten), stored).error
    assert "are not of the same mentions: only" in fewer
    assert "'dev-13'" in fewer


def spoil(rows: list[dict[str, Any]]) -> None:
    rows[0]["rank_optimistic"] = 0


def mend_and_shorten(rows: list[dict[str, Any]]) -> None:
    rows[0]["rank_optimistic"] = 1
    del rows[13]


def test_markup_in_records_is_printed_as_it_is(melder: Melder, stored: Path, worse: Path, data: Path) -> None:
    changed(data / "entities.jsonl", lambda rows: [row.update(name="[bold]x[/bold] [/] <b>") for row in rows])
    said = melder("compare", worse, stored, "--data", data)
    assert said.status == 0, said.errors
    assert "right answer: [bold]x[/bold] [/] <b>" in said.out


def test_bad_records_of_the_data_set_are_errors_or_listed(
    melder: Melder, stored: Path, worse: Path, data: Path
) -> None:
    changed(data / "entities.jsonl", lambda rows: rows.append(rows[0]))
    assert "is also the id of record" in melder("compare", worse, stored, "--data", data).error
    said = melder("compare", worse, stored, "--data", data, "--skip-bad")
    assert said.status == 3
    assert "1 record left out:" in said.errors


def test_report_writes_the_page_of_evaluate(melder: Melder, stored: Path, small_data: Path, tmp_path: Path) -> None:
    evaluated = ("evaluate", small_run(), "--data", small_data, "--report", tmp_path / "one.html")
    assert melder(*evaluated).status == 0
    report = ("report", small_run(), "--predictions", stored, "--data", small_data)
    said = melder(*report, "--out", tmp_path / "new" / "two.html")
    assert (said.status, said.out) == (0, "")
    assert "two.html" in said.errors
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "new" / "two.html").read_bytes()
    assert melder(*report).status == 0
    assert stored.with_name("dev.jsonl.html").is_file()


def test_report_names_what_does_not_fit(
    melder: Melder, stored: Path, small_data: Path, data: Path, tmp_path: Path
) -> None:
    def error(run: object = None, predictions: object = stored, given: object = small_data, *more: object) -> str:
        return melder("report", run or small_run(), "--predictions", predictions, "--data", given, *more).error

    assert "/no/run: is no run" in error("/no/run")
    assert "/no.jsonl: cannot be read" in error(None, "/no.jsonl", small_data, "--out", tmp_path / "r.html")
    assert "/no/data: does not exist" in error(None, stored, "/no/data")
    assert "/dev/null/x.html" in error(None, stored, small_data, "--out", "/dev/null/x.html")
    changed(data / "dev.jsonl", lambda rows: rows[2].update(id="renamed"))
    assert "dev comes nearest and lacks 'dev-2'; give the data set that was evaluated" in error(None, stored, data)


def test_help_has_examples(melder: Melder) -> None:
    for command in ("compare", "report"):
        assert f"melder {command} " in melder(command, "--help").out
