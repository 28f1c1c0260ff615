"""Every command, end to end."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from cli.conftest import Melder
from melder.evaluation.predictions import read_predictions
from melder.kb import open_knowledge_base
from melder.records import Link
from rounding import alike, rounding
from training.small import read_lines, small_run, write_lines


def test_train_leaves_a_run_and_says_what_comes_next(melder: Melder, recipe: Path, data: Path, tmp_path: Path) -> None:
    said = melder("train", recipe, "training.epochs=2", "method.cross=uni", "--out", tmp_path / "run")
    assert said.status == 0
    assert "name match" in said.out
    assert "Selection set: tune (held out of train)" in said.out
    assert f"melder evaluate {tmp_path / 'run'} --data {data} --split dev" in said.errors
    assert said.errors.count("on a sample of the selection set") == 2  # a line a look
    content = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (content["training"]["epochs"], content["method"]["cross"]) == (2, "uni")


def test_evaluate_prints_figures_and_writes_three_files(melder: Melder, small_data: Path, tmp_path: Path) -> None:
    files = {"--json": "figures.json", "--predictions": "predictions.jsonl", "--report": "report.html"}
    options = [part for option, name in files.items() for part in (option, tmp_path / name)]
    said = melder("evaluate", small_run(), "--data", small_data, "--split", "test", *options)
    assert said.status == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["split"], figures["mentions"], figures["candidates"]) == ("test", 9, 12)
    assert f"{100 * figures['hits@1']:.1f}" in next(line for line in said.out.splitlines() if "m3el" in line)
    assert "name match" in said.out
    assert "no picture" in said.out
    predictions = read_predictions(tmp_path / "predictions.jsonl")
    hits = [row.rank_optimistic == row.rank_pessimistic == 1 for row in predictions if row.gold is not None]
    assert sum(hits) / len(hits) == pytest.approx(figures["hits@1"])
    assert len(predictions) == 10
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()


def test_evaluate_takes_another_knowledge_base(melder: Melder, small_data: Path, data: Path, tmp_path: Path) -> None:
    entities = read_lines(data / "entities.jsonl")
    write_lines(data / "entities.jsonl", [*entities, entities[0] | {"id": "new"}])
    said = melder("evaluate", small_run(), "--data", small_data, "--kb", data, "--json", tmp_path / "f.json")
    assert said.status == 0
    assert json.loads((tmp_path / "f.json").read_text())["candidates"] == 13


def test_link_shows_a_table(melder: Melder, small_data: Path) -> None:
    link = ("link", small_run(), "--data", small_data, "--text", "A red kite was seen", "--mention", "red kite")
    said = melder(*link, "--image", small_data / "images/0.png", "-k", 3)
    assert said.status == 0
    assert "'red kite' in 'A red kite was seen'" in said.out
    rows = [line for line in said.out.splitlines() if "Q" in line]
    assert len(rows) == 3
    assert "Q0" in rows[0]
    assert "Red kite" in rows[0]
    assert said.errors == ""


def test_link_gives_json(melder: Melder, small_data: Path) -> None:
    said = melder("link", small_run(), "--data", small_data, "--text", "a fox", "--mention", "fox", "-k", 99, "--json")
    link = Link.model_validate_json(said.out)
    assert (link.id, link.start, link.end, link.surface) == ("query", 2, 5, "fox")
    assert link.nil_probability is not None
    assert 0 < link.nil_probability < 1
    assert len(link.candidates) == 12
    scores = [candidate.score for candidate in link.candidates]
    assert scores == sorted(scores, reverse=True)


def links(text: str) -> list[Link]:
    return [Link.model_validate_json(line) for line in text.splitlines()]


def test_link_reads_and_writes_json_lines(melder: Melder, small_data: Path, data: Path, tmp_path: Path) -> None:
    """From a file or standard input, to a file or standard output: the same links, in the order of the mentions."""
    source = data / "dev.jsonl"
    link = ("link", small_run(), "--data", small_data, "-k", 2)
    printed = melder(*link, "--input", source)
    assert printed.status == 0
    found = links(printed.out)
    assert [each.id for each in found] == [record["id"] for record in read_lines(source)]
    assert {len(each.candidates) for each in found} == {2}
    written = melder(*link, "--input", source, "--output", tmp_path / "links.jsonl")
    assert (written.status, written.out) == (0, "")
    assert links((tmp_path / "links.jsonl").read_text()) == found
    assert [path.name for path in tmp_path.glob("links*")] == ["links.jsonl"]
    piped = melder(*link, "--input", "-", "--images", data, stdin=source.read_bytes())
    assert links(piped.out) == found


def test_a_file_of_mentions_is_linked_as_each_of_them(melder: Melder, small_data: Path) -> None:
    record = read_lines(small_data / "dev.jsonl")[0]
    link = ("link", small_run(), "--data", small_data, "-k", 3)
    (first, *_) = links(melder(*link, "--input", small_data / "dev.jsonl").out)
    query = ("--text", record["text"], "--mention", record["surface"], "--image", small_data / record["image"])
    alone = Link.model_validate_json(melder(*link, *query, "--json").out)
    assert alike(alone, first)


def test_training_on_stored_features_gives_the_same_run(melder: Melder, recipe: Path, tmp_path: Path) -> None:
    said = melder("features", recipe, "--out", tmp_path / "features")
    assert said.status == 0
    assert f"data.features={tmp_path / 'features'}" in said.errors
    assert "/s) encoded in " in said.errors
    assert {path.name for path in (tmp_path / "features").iterdir()} == {"entities", "train", "dev", "test"}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "features").rglob("*.npy")}
    again = melder("features", recipe, "--out", tmp_path / "features")
    assert again.status == 0
    assert "encoded in" not in again.errors
    assert {path: path.stat().st_mtime_ns for path in before} == before  # what is there is kept
    assert melder("train", recipe, "--out", tmp_path / "one").status == 0
    assert melder("train", recipe, f"data.features={tmp_path}/features", "--out", tmp_path / "two").status == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


BATCH = 34  # all the mentions that are trained on: an epoch is one step
SUMMED = BATCH * 16  # tokens of a batch, over which a gradient is summed


@pytest.mark.parametrize(
    ("epochs", "apart"),
    [
        pytest.param(1, rounding(SUMMED), id="one step: to the rounding of a gradient"),
        # Adam divides a gradient by its own size, and a ReLU opens or shuts: rounding grows with every step.
        pytest.param(3, 1e-2, id="three steps"),
    ],
)
def test_two_processes_train_the_run_of_one(
    melder: Melder, recipe: Path, data: Path, tmp_path: Path, epochs: int, apart: float
) -> None:
    script = Path(sys.executable).with_name("melder")
    if not script.is_file():
        pytest.skip("the console script `melder` is not installed beside this Python")
    write_lines(data / "train.jsonl", read_lines(data / "train.jsonl")[:-1])
    settings = [
        f"training.batch_size={BATCH}",
        f"training.epochs={epochs}",
        "encoder.trained=true",
        "training.epsilon=1e-3",
    ]
    assert melder("train", recipe, *settings, "--out", tmp_path / "one").status == 0
    command = [script, "train", recipe, *settings, "training.processes=2", "--out", tmp_path / "two"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Selection set") == 1
    assert json.loads((tmp_path / "two/metrics.json").read_text())["mentions"] == 4
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert float((tensor - two[name]).norm()) < apart * max(1.0, float(tensor.norm())), name


def test_help_has_examples_and_answers_without_pytorch(melder: Melder) -> None:
    said = melder("--help")
    assert said.status == 0
    assert all(command in said.out for command in ("train", "evaluate", "link", "features", "demo"))
    for command in ("train", "evaluate", "link", "features"):
        assert f"melder {command} " in melder(command, "--help").out
    code = "import sys, melder.cli; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_told(melder: Melder) -> None:
    from melder import __version__

    assert melder("--version").out == f"melder {__version__}\n"


def test_results_go_to_standard_output_alone(melder: Melder, small_data: Path) -> None:
    said = melder("link", small_run(), "--data", small_data, "--input", small_data / "dev.jsonl")
    lines = said.out.splitlines()
    assert said.errors.startswith(f"standard output: {len(lines)} mentions linked; ")
    assert said.errors.count("\n") == 1
    assert all(line.startswith("{") for line in lines)


def test_link_says_when_nothing_looks_at_the_picture(
    melder: Melder, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    asked = ("link", small_run, "--data", small_data, "--text", "a fox", "--image", tmp_path / "text.jpg")
    assert "text.jpg" in melder(*asked).error
    assert "there is no such directory" in melder("link", tmp_path / "nothing", "--text", "a fox").error


def test_a_data_set_of_entities_alone_has_features_too(
    melder: Melder, recipe: Path, small_data: Path, data: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    (alone / "images").mkdir(parents=True)
    (alone / "entities.jsonl").write_bytes((data / "entities.jsonl").read_bytes())
    for picture in (small_data / "images").glob("[0-9]*.png"):
        (alone / "images" / picture.name).write_bytes(picture.read_bytes())
    assert melder("features", recipe, f"data.directory={alone}", "--out", tmp_path / "features").status == 0
    assert {path.name for path in (tmp_path / "features").iterdir()} == {"entities"}


@pytest.mark.parametrize("source", ["data set", "knowledge base"])
def test_the_command_that_follows_a_training_without_labels_works(
    melder: Melder, recipe: Path, data: Path, tmp_path: Path, source: str
) -> None:
    if source == "knowledge base":
        built = ("kb", "build", small_run(), "--entities", data / "entities.jsonl", "--images", data)
        assert melder(*built, "--out", tmp_path / "kb").status == 0
        data = tmp_path / "kb"
    said = melder("train", recipe, "--from-kb", data, "--out", tmp_path / "a run")
    assert said.status == 0, said.errors
    assert ("Exact names" in said.out) == (source == "knowledge base")
    assert ("note: nothing to compare the training with" in said.errors) == (source == "data set")
    assert follow(melder, said.errors) == 0
    assert open_knowledge_base(tmp_path / "a run-kb").entities[0].id == "Q0"


@pytest.mark.parametrize("splits", [("dev", "test"), ("test",), ()])
def test_the_command_that_follows_a_training_works_with_the_splits_that_there_are(
    melder: Melder, recipe: Path, data: Path, tmp_path: Path, splits: tuple[str, ...]
) -> None:
    for split in {"dev", "test"} - set(splits):
        (data / f"{split}.jsonl").unlink()
    said = melder("train", recipe, "--out", tmp_path / "run")
    assert said.status == 0, said.errors
    assert (f"--split {splits[0]}" if splits else "melder kb build") in said.errors
    assert follow(melder, said.errors) == 0


def follow(melder: Melder, said: str) -> int:
    """The exit status of the command that is said to be next."""
    (line,) = [line for line in said.splitlines() if "Next: melder " in line]
    return melder(*shlex.split(line.partition("Next: melder ")[2])).status
