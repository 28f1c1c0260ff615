"""What an experiment comes to: which trainings, which evaluations, and where each of them lies.

A training lies in `OUT/runs/DATA-METHOD-DIGEST/SEED`. The digest is of all that it depends on but the seed, so that
rows of any file that are the same training share it, and one whose settings were changed is a new one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melder.jobs.experiments.experiment_file import OWN, Experiment, ExperimentRow, assignments, check_name
from melder.records import MelderError
from melder.runs.configuration_file import checked, override, read_yaml
from melder.runs.directory import ENVIRONMENT, is_finished_run
from melder.training.configuration import Configuration

__all__ = ["ExperimentPlan", "PlannedEvaluation", "PlannedRun", "plan_experiment"]

ROW = re.compile(r"\$\{run:([^}]*)\}")  # the run of another row with the same seed and data
DATA = "${data}"
METHOD = "method."  # what the settings of an evaluation begin with

Name = Callable[[str], str]  # a row's name -> where its run is


@dataclass(frozen=True)
class PlannedRun:
    """One training, of one seed.

    Args:
        row: The name of its row.
        data: The name of its data set.
        seed: Of the training.
        directory: Of the run.
        configuration: Of the training.
        needs: Those that it reads the results of.
    """

    row: str
    data: str
    seed: int
    directory: Path
    configuration: Configuration
    needs: tuple[PlannedRun, ...] = ()

    @property
    def is_finished(self) -> bool:
        return is_finished_run(self.directory)

    @property
    def is_stopped(self) -> bool:
        return not self.is_finished and (self.directory / "config.yaml").is_file()

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.row, self.data, f"seed {self.seed}")))


@dataclass(frozen=True)
class PlannedEvaluation:
    """One run on one split, against one knowledge base.

    Args:
        knowledge_base: None = the entities of the data set.
        changes: `method.key=value` in the place of the run's settings.
        figures: Where what came of it is written; predictions lie beside it.
        needs: Runs that `changes` name.
    """

    run: PlannedRun
    split: str
    knowledge_base: Path | None
    changes: tuple[str, ...]
    figures: Path
    needs: tuple[PlannedRun, ...] = ()

    @property
    def row(self) -> str:
        return self.run.row

    @property
    def predictions(self) -> Path:
        return self.figures.with_suffix(".jsonl")

    @property
    def is_done(self) -> bool:
        """Figures of an earlier training of the same directory do not count."""
        if not (self.run.is_finished and self.figures.is_file() and self.predictions.is_file()):
            return False
        ended = (self.run.directory / ENVIRONMENT).stat().st_mtime_ns
        return self.figures.stat().st_mtime_ns >= ended

    def __str__(self) -> str:
        base = "" if self.knowledge_base is None else f"against {self.knowledge_base.name}"
        parts = (self.row, self.run.data, base, f"seed {self.run.seed}")
        return ", ".join(filter(None, parts))


@dataclass
class ExperimentPlan:
    """All evaluations of an experiment, every row's first seed before any row's second.

    Args:
        experiment: As the file says.
        evaluations: In the order in which they are carried out.
    """

    experiment: Experiment
    evaluations: list[PlannedEvaluation] = field(default_factory=list)

    @property
    def runs(self) -> list[PlannedRun]:
        """Every training once, those that others need before these."""
        ordered: dict[Path, PlannedRun] = {}
        for evaluation in self.evaluations:
            for run in (*evaluation.needs, evaluation.run):
                for one in _with_needs(run):
                    ordered.setdefault(one.directory, one)
        return list(ordered.values())

    @property
    def missing(self) -> list[PlannedEvaluation]:
        return [evaluation for evaluation in self.evaluations if not evaluation.is_done]


def plan_experiment(path: Path, experiment: Experiment, out: Path, changes: Sequence[str] = ()) -> ExperimentPlan:
    """The trainings and evaluations of an experiment; nothing is run or written.

    Args:
        path: The file, for messages.
        experiment: As the file says.
        out: Below which everything lies.
        changes: `key=value` settings of all rows, in the place of theirs.

    Returns:
        The plan.

    Raises:
        MelderError: A row's recipe and settings make no configuration, or it names a row that is not there.
    """
    planner = _Planner(path, experiment, out, tuple(changes))
    every = [evaluation for row in experiment.rows for evaluation in planner.evaluations(row)]
    return ExperimentPlan(experiment, sorted(every, key=planner.turn))


class _Planner:
    def __init__(self, path: Path, experiment: Experiment, out: Path, changes: tuple[str, ...]) -> None:
        self.path, self.experiment, self.out, self.changes = path, experiment, out, changes
        self.rows = {row.name: row for row in experiment.rows}
        self._runs: dict[tuple[str, str, int], PlannedRun] = {}
        self._recipes: dict[Path, dict[str, Any]] = {}

    def evaluations(self, row: ExperimentRow) -> Iterator[PlannedEvaluation]:
        for data in row.data or ("",):
            for seed in row.seeds:
                run = self.run(row, data, seed, ())
                for knowledge_base in row.knowledge_bases:
                    yield self.evaluation(row, run, data, knowledge_base)

    def turn(self, evaluation: PlannedEvaluation) -> int:
        """The place of its seed among the row's."""
        return self.rows[evaluation.row].seeds.index(evaluation.run.seed)

    def run(self, row: ExperimentRow, data: str, seed: int, within: tuple[str, ...]) -> PlannedRun:
        """The training of a row, planned once; `within` are the rows that need it."""
        if row.name in within:
            chain = " and ".join(within)
            raise MelderError(f"{self.path}, row {row.name!r}: needs its own run, by way of {chain}; name another row")
        key = row.name, data, seed
        if key not in self._runs:
            self._runs[key] = self._planned(row, data, seed, (*within, row.name))
        return self._runs[key]

    def _planned(self, row: ExperimentRow, data: str, seed: int, within: tuple[str, ...]) -> PlannedRun:
        place = f"{self.path}, row {row.name!r}"
        needs: list[PlannedRun] = []

        def of_seed(name: str) -> str:
            run = self._needed(place, name, data, seed, within)
            needs.append(run)
            return str(run.directory)

        def of_all_seeds(name: str) -> str:
            return str(self._needed(place, name, data, seed, within).directory.parent)

        configuration = checked(Configuration, self._sections(row, data, seed, of_seed), place)
        if configuration.training.processes > 1:
            raise MelderError(f"{place}, field 'training.processes': rows are trained in one process; leave it out")
        digest = _digest(self._sections(row, data, 0, of_all_seeds))
        folder = configuration.data.directory.name
        name = f"{folder}-{configuration.method.name}-{digest}"  # type: ignore[attr-defined]
        directory = self.out / "runs" / name / str(seed)
        return PlannedRun(row.name, data or folder, seed, directory, configuration, tuple(needs))

    def evaluation(self, row: ExperimentRow, run: PlannedRun, data: str, knowledge_base: str) -> PlannedEvaluation:
        place, needs = f"{self.path}, row {row.name!r}, field 'evaluation'", list[PlannedRun]()
        if wrong := [key for key in row.evaluation if not key.startswith(METHOD)]:
            raise MelderError(f"{place}: {wrong[0]!r} is no setting of the method; write method.KEY")

        def of_seed(name: str) -> str:
            needs.append(self._needed(place, name, data, run.seed, (row.name,)))
            return str(needs[-1].directory)

        def of_all_seeds(name: str) -> str:
            return str(self._needed(place, name, data, run.seed, (row.name,)).directory.parent)

        base = None if knowledge_base == OWN else Path(knowledge_base.replace(DATA, data))
        changes = tuple(assignments(_filled(row.evaluation, data, of_seed)))
        split, keep = self.experiment.split, self.experiment.keep
        marks = [keep, str(base), _filled(row.evaluation, data, of_all_seeds)]
        name = "-".join([str(run.seed), split, *([] if base is None else [base.name]), _digest(marks)])
        figures = run.directory.with_name(f"{name}.json")
        return PlannedEvaluation(run, split, base, changes, figures, tuple(needs))

    def _needed(self, place: str, name: str, data: str, seed: int, within: tuple[str, ...]) -> PlannedRun:
        check_name(place, name, list(self.rows))
        return self.run(self.rows[name], data, seed, within)

    def _sections(self, row: ExperimentRow, data: str, seed: int, run: Name) -> dict[str, Any]:
        """The configuration file with the row's settings, not checked yet."""
        assert row.recipe is not None
        settings = assignments(_filled(row.settings, data, run))
        path = Path(str(row.recipe).replace(DATA, data))
        if path not in self._recipes:
            self._recipes[path] = read_yaml(path)
        return override(self._recipes[path], [*settings, *self.changes, f"training.seed={seed}"])


def _filled(value: Any, data: str, run: Name) -> Any:
    """The value with what ${data} and ${run:ROW} stand for."""
    if isinstance(value, str):
        return ROW.sub(lambda match: run(match[1]), value.replace(DATA, data))
    if isinstance(value, Mapping):
        return {name: _filled(inner, data, run) for name, inner in value.items()}
    return [_filled(inner, data, run) for inner in value] if isinstance(value, list) else value


def _with_needs(run: PlannedRun) -> Iterator[PlannedRun]:
    for needed in run.needs:
        yield from _with_needs(needed)
    yield run


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]
