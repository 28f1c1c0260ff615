"""Runs what of an experiment is missing; whatever is finished is left, what was stopped goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from melder.evaluation.about import write_about
from melder.evaluation.evaluate import EvaluationOptions, evaluate_run
from melder.evaluation.predictions import write_predictions
from melder.jobs.experiments.plan import ExperimentPlan, PlannedEvaluation, PlannedRun
from melder.jobs.experiments.shared_features import SharedFeatures
from melder.protocols import Counting
from melder.records import MelderError
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.directory import write_json
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.prepare import OnUnreadable

__all__ = ["ExperimentRunner"]


@dataclass
class ExperimentRunner:
    """Trains and evaluates.

    Args:
        out: The directory of the experiment's runs.
        counting: Starts a progress bar with a title and a total.
        say: Told what is done next, a line each.
        on_unreadable: Told of pictures that cannot be read, where a configuration leaves these out (`data.skip_bad`).
        until: No further training or evaluation begins after this time (`time.monotonic`).
    """

    out: Path
    counting: Counting
    say: Callable[[str], None]
    on_unreadable: OnUnreadable = None
    until: float = float("inf")
    failures: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.features = SharedFeatures(self.out / "features", self.counting, self.on_unreadable)
        self._broken: dict[Path, str] = {}

    def carry_out(self, plan: ExperimentPlan) -> None:
        """Run all that is missing of a plan; what fails is in `failures`, one line each, and the rest goes on."""
        missing = plan.missing
        for number, evaluation in enumerate(missing, start=1):
            if time.monotonic() > self.until:
                self.say(f"the time is up: {len(missing) - number + 1} of {len(plan.evaluations)} are missing")
                return
            self.say(f"{number} of {len(missing)}: {evaluation}")
            try:
                self._evaluate(plan, evaluation)
            except MelderError as error:
                self.failures.append(f"{evaluation}: {error}")

    def _evaluate(self, plan: ExperimentPlan, evaluation: PlannedEvaluation) -> None:
        run, base, shares = evaluation.run, evaluation.knowledge_base, plan.experiment.share_features
        for needed in (*evaluation.needs, run):
            self._train(needed, shares)
        features = self.features.of(run.configuration) if shares else None
        kb_features = self.features.of_entities(run.configuration, base) if features and base else None
        data = run.configuration.data
        result = evaluate_run(
            run.directory,
            data.directory,
            evaluation.split,
            EvaluationOptions(
                knowledge_base=base,
                skip_bad=data.skip_bad,
                changes=evaluation.changes,
                kept=plan.experiment.keep,
                features=features,
                kb_features=kb_features,
            ),
            counting=self.counting,
            on_unreadable=self._heard(run),
        )
        write_predictions(evaluation.predictions, result.predictions)
        write_about(evaluation.predictions, run.directory, result.figures)
        write_json(evaluation.figures, result.figures)

    def _train(self, run: PlannedRun, shares: bool) -> None:
        """Train what is not finished, after what it needs; what failed once is not tried again."""
        if run.directory in self._broken:
            raise MelderError(self._broken[run.directory])
        try:
            for needed in run.needs:
                self._train(needed, shares)
            if run.is_finished:
                _check_unchanged(run)
                return
            self.say(f"{'going on with' if run.is_stopped else 'training'} {run}, in {run.directory}")
            configuration = self._configuration(run, shares)
            train(configuration, run.directory, counting=self.counting, on_unreadable=self._heard(run))
        except MelderError as error:
            self._broken[run.directory] = str(error)
            raise

    def _configuration(self, run: PlannedRun, shares: bool) -> Configuration:
        features = self.features.of(run.configuration) if shares else None
        if features is None:
            return run.configuration
        data = run.configuration.data.model_copy(update={"features": features})
        return run.configuration.model_copy(update={"data": data})

    def _heard(self, run: PlannedRun) -> OnUnreadable:
        return self.on_unreadable if run.configuration.data.skip_bad else None


def _check_unchanged(run: PlannedRun) -> None:
    """Its directory is known by what the file says; what it leaves to defaults may be otherwise in another version."""
    path = run.directory / "config.yaml"
    trained = checked(Configuration, read_yaml(path), str(path))
    data = trained.data.model_copy(update={"features": run.configuration.data.features})
    if trained.model_copy(update={"data": data}) != run.configuration:
        raise MelderError(
            f"{path}: was trained with other defaults than those of now; remove {run.directory} to train it again"
        )
