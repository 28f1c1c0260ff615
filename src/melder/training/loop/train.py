"""Training from a configuration to a run; stopped at any moment, it goes on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from melder.data import DataSet
from melder.evaluation.evaluate import describe
from melder.linking.nil_calibration import fit_nil, of_best, sample
from melder.metrics.metrics import metrics
from melder.metrics.name_match import name_match
from melder.metrics.slices import slices
from melder.protocols import Counting
from melder.records import BadRecord
from melder.runs.configuration_file import read_yaml
from melder.runs.directory import is_finished_run, write_json, write_run
from melder.runs.rerank_configuration import read_rerank
from melder.search.topk import TopK
from melder.training.configuration import Configuration
from melder.training.from_entities import data_to_train_on
from melder.training.loop.fit import fit, interruptible
from melder.training.loop.loggers import check_logger
from melder.training.loop.progress import LOG, ProgressLog, StepProgress, validation_line
from melder.training.loop.run_lock import run_lock
from melder.training.loop.selection import ValidationCallback
from melder.training.prepare import OnUnreadable
from melder.training.rerank.train import train_second_look
from melder.training.trainings import PreparedTraining, training_of

__all__ = ["Trained", "train"]

METRICS = "metrics.json"  # in a run


@dataclass
class Trained:
    """The metrics of the whole selection set, which are in metrics.json, and the records left out of the data.

    Args:
        splits: Of the data set that was trained on.
        first: False in the further processes of a training, which have nothing more to say.
    """

    metrics: dict[str, Any]
    skipped: list[BadRecord]
    splits: Sequence[str]
    first: bool


def train(
    configuration: Configuration,
    out: Path,
    *,
    counting: Counting = lambda title, total: lambda done: None,
    on_validation: ValidationCallback = lambda epoch, figures: None,
    callbacks: Sequence[Callback] = (),
    on_unreadable: OnUnreadable = None,
) -> Trained:
    """Train, keep the weights of the best look at the selection set, and write a run with its metrics into `out`.

    With no epochs the run is of the model as it is built: an untrained matcher on a published encoder, say. A training
    that was interrupted goes on from its last checkpoint.

    Args:
        counting: Starts a progress bar with a title and a total.
        on_validation: Gets the epoch and figures of each look at the selection set.
        callbacks: Further ones of Lightning. Lines of all that go into `out`/logs/progress.log too.

    Returns:
        What the run says of itself.

    Raises:
        MelderError: `out` holds a finished run, or an interrupted one of another configuration; or another process
            trains into it; or the package of the logger is missing.
    """
    check_logger(configuration.training.logger)
    log = ProgressLog(out / "logs" / LOG)

    def look(epoch: int, figures: Mapping[str, float]) -> None:
        log.write(validation_line(epoch, figures))
        on_validation(epoch, figures)

    if _lacks_second_look(configuration, out):
        dataset = data_to_train_on(configuration, out, counting)
        trained = Trained(_metrics(out), dataset.skipped, dataset.splits, True)
    else:
        with run_lock(out, configuration.model_dump(mode="json")), interruptible(log):
            trained = _train(configuration, out, log.beside(counting), look, callbacks, on_unreadable)
    if configuration.rerank is not None and configuration.rerank.top and trained.first:
        train_second_look(
            out, configuration.rerank, counting=counting, on_validation=on_validation, callbacks=callbacks
        )
    return trained


def _lacks_second_look(configuration: Configuration, out: Path) -> bool:
    """Whether a training of these settings was interrupted when only the second look was left to be trained."""
    if configuration.rerank is None or not configuration.rerank.top or not is_finished_run(out):
        return False
    if read_rerank(out) is not None:
        return False
    return read_yaml(out / "config.yaml") == configuration.model_dump(mode="json")


def _metrics(out: Path) -> dict[str, Any]:
    metrics_of_run: dict[str, Any] = json.loads((out / METRICS).read_text(encoding="utf-8"))
    return metrics_of_run


def _train(
    configuration: Configuration,
    out: Path,
    counting: Counting,
    on_validation: ValidationCallback,
    callbacks: Sequence[Callback],
    on_unreadable: OnUnreadable,
) -> Trained:
    dataset = data_to_train_on(configuration, out, counting)
    prepared = training_of(configuration.method)(configuration, dataset, out / "features", counting, on_unreadable)
    first = True
    if configuration.training.epochs:
        first = fit(configuration, prepared, out, on_validation, [StepProgress(counting), *callbacks])
    best_candidates = list[TopK]()
    selected = _selected(out, prepared, dataset, configuration, best_candidates)
    if first:
        _write(out, prepared, configuration, selected)
        _calibrate(out, prepared, dataset, configuration, best_candidates)
    return Trained(selected, dataset.skipped, dataset.splits, first)


def _selected(
    out: Path,
    prepared: PreparedTraining,
    dataset: DataSet,
    configuration: Configuration,
    best_candidates: list[TopK],
) -> dict[str, Any]:
    """Complete figures of the selection set, the name-match baseline beside them; of a matching method,
    `best_candidates` gets the first candidates of some mentions."""
    mentions, entities = prepared.split.selection, {entity.id: entity for entity in dataset.entities}
    ranks = prepared.rank(mentions, best_candidates)
    figures: dict[str, Any] = metrics(ranks, len(dataset.entities))
    figures["slices"] = slices(
        mentions, entities, Counter(str(mention.answer) for mention in prepared.split.train), ranks
    )
    figures["name_match"] = metrics(name_match(mentions, dataset.entities), len(dataset.entities))
    figures["parameters"] = _parameters(prepared.model) if configuration.training.epochs else {}
    split = "tune (held out of train)" if prepared.split.source == "train" else prepared.split.source
    return {**figures, **describe(out, configuration, dataset, dataset, split)}


def _parameters(model: Any) -> dict[str, int]:
    """How many parameters a model has, and how many of them were trained."""
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {"all": sum(count for count, _ in counts), "trained": sum(count for count, learns in counts if learns)}


def _write(out: Path, prepared: PreparedTraining, configuration: Configuration, selected: dict[str, Any]) -> None:
    write_json(out / METRICS, selected)
    counts = Counter(str(mention.answer) for mention in prepared.split.train)
    write_json(out / "trained_on.json", {"answers": sorted(counts), "counts": dict(sorted(counts.items()))})
    write_run(out, prepared.model, configuration.model_dump(mode="json"))


def _calibrate(
    out: Path,
    prepared: PreparedTraining,
    dataset: DataSet,
    configuration: Configuration,
    best_candidates: Sequence[TopK],
) -> None:
    """Fit NIL probabilities of a matching method on the selection set, from the scores that its ranks are of."""
    if not best_candidates:
        return
    mentions = prepared.split.selection[sample(len(prepared.split.selection))]
    row_of = {entity.id: number for number, entity in enumerate(dataset.entities)}
    nil = fit_nil(
        [of_best(best, row) for best in best_candidates for row in range(len(best.rows))],
        [row_of[str(mention.answer)] for mention in mentions],
        [mention.image is not None and "image" in configuration.data.modalities for mention in mentions],
        candidates=len(dataset.entities),
        data=dataset.directory.resolve().name,
        split="tune" if prepared.split.source == "train" else prepared.split.source,
    )
    if nil is not None:
        nil.write(out)
