"""`melder calibrate`, thresholds of `link` and `evaluate`, and mentions made from entities, on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.conftest import Melder
from melder.linking.nil_calibration import read_nil
from melder.records import Decided, Link

ASK = ("--text", "A red kite was seen", "--mention", "red kite")


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A copy whose calibration may change."""
    return Path(shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints")))


def test_calibrate_fits_again_on_what_the_run_was_selected_on(melder: Melder, run: Path, small_data: Path) -> None:
    trained = read_nil(run)
    assert trained is not None
    (run / "nil.json").unlink()
    said = melder("calibrate", run, "--data", small_data)
    assert said.status == 0, said.errors
    again = read_nil(run)
    assert again is not None
    assert (again.split, again.mentions, again.candidates) == (trained.split, trained.mentions, trained.candidates)
    assert again.means == pytest.approx(trained.means, rel=1e-3)
    assert again.weights == pytest.approx(trained.weights, rel=1e-2, abs=1e-3)


def test_calibrate_takes_a_split_a_knowledge_base_and_a_share(melder: Melder, run: Path, small_data: Path) -> None:
    said = melder("calibrate", run, "--data", small_data, "--split", "dev", "--kb", small_data, "--share", 0.1)
    assert "Fitted on 13 mentions" in said.errors
    nil = read_nil(run)
    assert nil is not None
    assert (nil.split, nil.share, nil.mentions) == ("dev", 0.1, 13)


def test_a_run_of_made_mentions_has_no_part_to_calibrate_on(melder: Melder, run: Path, small_data: Path) -> None:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("from_entities: null", "from_entities: 4"))
    assert "name mentions with --split" in melder("calibrate", run, "--data", small_data).error


@pytest.mark.parametrize(("threshold", "none"), [(0.0, True), (1.0, False)])
def test_link_answers_with_an_id_or_with_null(
    melder: Melder, run: Path, small_data: Path, threshold: float, none: bool
) -> None:
    said = melder("link", run, "--data", small_data, *ASK, "--nil-threshold", threshold, "--json")
    answer = Decided.model_validate_json(said.out)
    assert answer.answer == (None if none else answer.candidates[0].id)
    table = melder("link", run, "--data", small_data, *ASK, "--nil-threshold", threshold).out
    assert ("The answer is none of these" in table) == none


def test_link_without_a_threshold_gives_the_probability_alone(melder: Melder, run: Path, small_data: Path) -> None:
    said = melder("link", run, "--data", small_data, *ASK, "--json")
    assert Link.model_validate_json(said.out).nil_probability is not None
    assert "answer" not in json.loads(said.out)


@pytest.mark.parametrize("command", ["link", "evaluate"])
def test_a_threshold_needs_a_calibration(melder: Melder, run: Path, small_data: Path, command: str) -> None:
    (run / "nil.json").unlink()
    ask = ASK if command == "link" else ()
    said = melder(command, run, "--data", small_data, *ask, "--nil-threshold", 0.5)
    assert "melder calibrate" in said.error


def test_evaluate_reports_nil(melder: Melder, run: Path, small_data: Path, tmp_path: Path) -> None:
    files = ("--json", tmp_path / "f.json", "--report", tmp_path / "r.html", "--predictions", tmp_path / "p.jsonl")
    said = melder("evaluate", run, "--data", small_data, "--nil-threshold", 0.5, *files)
    assert "none of these from 0.5 on" in said.out
    nil = json.loads((tmp_path / "f.json").read_text())["nil"]
    assert {"auroc", "brier", "ece", "bins", "precision", "recall"} <= nil.keys()
    assert (nil["mentions"], nil["real"]["mentions"], nil["real"]["nil"]) == (13, 14, 1)
    assert "None of these</h2>" in (tmp_path / "r.html").read_text()
    again = melder(
        "report", run, "--data", small_data, "--predictions", tmp_path / "p.jsonl", "--out", tmp_path / "a.html"
    )
    assert again.status == 0
    assert f"AUROC {nil['auroc']:.3f}" in (tmp_path / "a.html").read_text()


def test_from_entities_writes_a_data_set(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    said = melder("data", "from-entities", small_data, tmp_path / "made", "--mentions", 2, "--no-views")
    assert (said.status, said.out) == (0, "")
    assert "mentions, 0 views" in said.errors
    counted = json.loads(melder("data", "info", tmp_path / "made", "--json").out)
    assert counted["splits"]["train"]["answers"] == counted["entities"]["entities"] == 12
    assert "is not an empty directory" in melder("data", "from-entities", small_data, tmp_path / "made").error


def test_train_needs_no_labels(melder: Melder, recipe: Path, data: Path, tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (data / f"{split}.jsonl").unlink()
    said = melder("train", recipe, "--from-kb", data, "--out", tmp_path / "run")
    assert said.status == 0, said.errors
    assert (tmp_path / "run" / "nil.json").is_file()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((*ASK, "--coherence"), "give several, with --input"),
        ((*ASK, "--prior", "--explain", "page.html"), "leave them out"),
        ((*ASK, "--prior"), "--prior`"),
    ],
)
def test_prior_and_coherence_say_what_they_need(
    melder: Melder, run: Path, small_data: Path, options: tuple[str, ...], line: str
) -> None:
    said = melder("link", run, "--data", small_data, *options)
    assert said.status != 0
    assert line in said.error
