"""`melder experiment`: a table from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.conftest import Melder, Said
from melder.jobs.experiments import carry_out
from melder.jobs.experiments.experiment_file import read_experiment
from melder.jobs.experiments.plan import ExperimentPlan, plan_experiment
from training import small

DOCS = Path(__file__).parents[2] / "docs" / "training.md"
(EXAMPLE,) = re.findall(r"```yaml\n# experiment.yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_data: Path) -> Path:
    """A directory with the recipe `my.yaml` and the example of the documentation."""
    directory = tmp_path_factory.mktemp("experiment")
    (directory / "my.yaml").write_text(yaml.safe_dump(small.settings(small_data, batch_size=20)))
    (directory / "experiment.yaml").write_text(EXAMPLE)
    return directory


@pytest.fixture
def at(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="module")
def done() -> dict[str, Said]:
    """What the first test ran, for those after it."""
    return {}


def run_example(melder: Melder, done: dict[str, Said]) -> Said:
    if "first" not in done:
        done["dry"] = melder("experiment", "experiment.yaml", "--dry-run")
        assert not Path("runs").exists()
        done["first"] = melder("experiment", "experiment.yaml")
    return done["first"]


def plan_of(file: str) -> ExperimentPlan:
    path = Path(file)
    return plan_experiment(path, read_experiment(path), Path("runs/experiments"))


def test_the_example_of_the_documentation_runs(melder: Melder, at: Path, done: dict[str, Said]) -> None:
    said = run_example(melder, done)
    assert (said.status, done["dry"].status) == (0, 0)
    assert "5 trainings: 0 finished; 0 of 5 evaluated" in done["dry"].errors
    assert done["dry"].out.count("missing: ") == 5
    written = Path("runs/experiments/experiment.md").read_text()
    assert said.out == written
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in written.splitlines() if line.startswith("|")]
    assert [line[:4] for line in lines[2:6]] == [
        ["m3el", "12", "13", "2"],
        ["without names", "12", "13", "2"],
        ["untrained", "12", "13", "1"],
        ["name match, no training", "12", "13", ""],
    ]
    assert [line[:2] for line in lines[8:]] == [["without names", "m3el"], ["untrained", "m3el"]]


def test_what_is_there_is_not_run_again(
    melder: Melder, at: Path, done: dict[str, Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_example(melder, done)
    monkeypatch.setattr(carry_out, "train", None)
    monkeypatch.setattr(carry_out, "evaluate_run", None)
    again = melder("experiment", "experiment.yaml")
    assert (again.status, again.out) == (0, first.out)
    assert "5 trainings: 5 finished; 5 of 5 evaluated" in again.errors


def test_means_intervals_and_tests_are_those_of_the_runs(melder: Melder, at: Path, done: dict[str, Said]) -> None:
    """By hand: the mean and t(1) = 12.706 times its standard error; the difference of the mentions' means."""
    run_example(melder, done)
    plan = plan_of("experiment.yaml")
    result = json.loads(Path("runs/experiments/experiment.json").read_text())
    one, two = (
        json.loads(evaluation.figures.read_text()) for evaluation in plan.evaluations if evaluation.row == "m3el"
    )
    row = result["tables"][0]["rows"][0]
    mean, half = (one["mrr"] + two["mrr"]) / 2, 12.706205 * abs(one["mrr"] - two["mrr"]) / 2
    assert row["means"]["mrr"] == pytest.approx(mean)
    assert row["intervals"]["mrr"] == pytest.approx([mean - half, mean + half], abs=1e-6)
    untrained = result["tables"][0]["rows"][2]
    (figures,) = (evaluation.figures for evaluation in plan.evaluations if evaluation.row == "untrained")
    assert untrained["intervals"]["mrr"] == json.loads(figures.read_text())["mrr_ci"]
    pair = result["comparisons"][1]
    assert (pair["row"], pair["against"]) == ("untrained", "m3el")
    assert pair["difference"]["mean"] == pytest.approx(untrained["means"]["mrr"] - mean)
    smaller, larger = sorted(result["comparisons"], key=lambda compared: compared["difference"]["p"])
    assert smaller["p_holm"] == pytest.approx(min(1, 2 * smaller["difference"]["p"]))
    assert larger["p_holm"] >= smaller["p_holm"]


def test_latex_has_every_row(melder: Melder, at: Path, done: dict[str, Said]) -> None:
    run_example(melder, done)
    written = Path("runs/experiments/experiment.tex").read_text()
    assert written.count(r"\toprule") == written.count(r"\end{tabular}") == 2
    assert "without names & 12 & 13 & 2 &" in written
    assert r"95~\%" in written


def test_a_stopped_training_goes_on_and_a_changed_row_is_another(
    melder: Melder, at: Path, done: dict[str, Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_example(melder, done)
    content = yaml.safe_load(EXAMPLE) | {"rows": [{"name": "m3el", "seeds": [1], "settings": {"method.hidden": 8}}]}
    write("changed.yaml", content)
    (run,) = plan_of("changed.yaml").runs
    train = carry_out.train

    def stop(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("melder.training.loop.train.StepProgress.on_train_batch_end", stop)
    assert melder("experiment", "changed.yaml").status == 130
    assert run.is_stopped
    assert "1 training: 0 finished, 1 stopped" in melder("experiment", "changed.yaml", "--dry-run").errors
    monkeypatch.undo()
    monkeypatch.chdir(at)
    monkeypatch.setattr(carry_out, "train", train)
    said = melder("experiment", "changed.yaml")
    assert f"going on with {run}" in said.errors
    assert run.is_finished


def test_one_row_that_fails_stops_no_other(melder: Melder, at: Path, done: dict[str, Said]) -> None:
    run_example(melder, done)
    content = yaml.safe_load(EXAMPLE)
    broken = {"name": "elsewhere", "seeds": [1], "settings": {"data.directory": "nowhere"}}
    write("broken.yaml", content | {"rows": [broken, *content["rows"]]})
    said = melder("experiment", "broken.yaml")
    assert said.status == 3
    assert "failed: elsewhere, nowhere, seed 1: nowhere" in said.errors
    assert "| without names |" in said.out
    assert "missing: elsewhere, nowhere, seed 1" in said.out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "field 'rows': must be a list of rows"),
        ({"rows": "m3el"}, "field 'rows': must be a list of rows"),
        ({"seed": [1]}, "field 'seed': there is no such key; did you mean 'seeds'?"),
        ({"figure": "mpr"}, "field 'figure'"),
        ({"seeds": []}, "field 'seeds'"),
        ({"rows": [{"name": "a", "sedes": [1]}]}, "row 1, field 'sedes': there is no such key; did you mean 'seeds'?"),
        ({"rows": [{"name": "a"}, {"name": "a"}], "against": "a"}, "two have the name 'a'"),
        ({"recipe": None}, "row 1 'm3el', field 'recipe': is missing"),
        ({"recipe": "nothing.yaml"}, "nothing.yaml: cannot be read"),
        ({"against": "m3l"}, "there is no row 'm3l'; did you mean 'm3el'?"),
        ({"settings": {"training.epocs": 1}}, "row 'm3el', field 'training.epocs': there is no such key"),
        ({"settings": {"training.processes": 2}}, "rows are trained in one process"),
        ({"settings": {"data.features": "${run:m3}"}}, "there is no row 'm3'; did you mean 'm3el'?"),
        ({"settings": {"data.features": "${run:m3el}"}}, "row 'm3el': needs its own run"),
        ({"rows": [{"name": "m3el", "evaluation": {"data.layout": "own"}}]}, "'data.layout' is no setting of the met"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(melder: Melder, at: Path, change: dict[str, Any], message: str) -> None:
    write("wrong.yaml", yaml.safe_load(EXAMPLE) | change)
    error = melder("experiment", "wrong.yaml", "--dry-run").error
    assert message in error
    assert "nothing.yaml" in error or error.startswith("wrong.yaml")


def write(name: str, content: dict[str, Any]) -> None:
    Path(name).write_text(yaml.safe_dump(content, sort_keys=False))
