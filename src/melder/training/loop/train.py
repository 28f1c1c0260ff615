"""Training from a configuration to a run; stopped at any moment, it goes on where it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from melder.data import DataSet
from melder.evaluation.evaluate import describe
from melder.linking.nil_calibration import fit_nil, of_best, sample
from melder.metrics.metrics import metrics
from melder.metrics.name_match import name_match
from melder.metrics.slices import slices
from melder.protocols import Counting
from melder.records import BadRecord, Mention
from melder.runs.directory import write_json, write_run
from melder.search.topk import TopK
from melder.training.configuration import Configuration
from melder.training.from_entities import data_to_train_on
from melder.training.loop.checkpoints import weights
from melder.training.loop.loader import PlannedLoader
from melder.training.loop.loggers import check_logger
from melder.training.loop.progress import LOG, ProgressLog, StepProgress, validation_line
from melder.training.loop.run_lock import run_lock
from melder.training.loop.selection import LookSchedule, Selection, ValidationCallback
from melder.training.loop.trainer import build_trainer
from melder.training.order import BatchPlan
from melder.training.prepare import OnUnreadable
from melder.training.ranking import figures
from melder.training.trainings import PreparedTraining, training_of

__all__ = ["Trained", "train"]


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

    Raises:
        MelderError: `out` holds a finished run, or an interrupted one of another configuration; or another process
            trains into it; or the package of the logger is missing.
    """
    check_logger(configuration.training.logger)
    log = ProgressLog(out / "logs" / LOG)

    def look(epoch: int, figures: Mapping[str, float]) -> None:
        log.write(validation_line(epoch, figures))
        on_validation(epoch, figures)

    with run_lock(out, configuration.model_dump(mode="json")), _interruptible(log):
        return _train(configuration, out, log.beside(counting), look, callbacks, on_unreadable)


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
        first = _fit(configuration, prepared, out, on_validation, [StepProgress(counting), *callbacks])
    best_candidates = list[TopK]()
    selected = _selected(out, prepared, dataset, configuration, best_candidates)
    if first:
        _write(out, prepared, configuration, selected)
        _calibrate(out, prepared, dataset, configuration, best_candidates)
    return Trained(selected, dataset.skipped, dataset.splits, first)


def _fit(
    configuration: Configuration,
    prepared: PreparedTraining,
    out: Path,
    on_validation: ValidationCallback,
    callbacks: Sequence[Callback],
) -> bool:
    """Train, and leave the best weights in the model; False in the further processes of a training."""
    last, best = out / "checkpoints" / "last.ckpt", out / "checkpoints" / "best.ckpt"
    selection = _selection(configuration, prepared, best, on_validation)
    trainer = build_trainer(configuration.training, out, [selection, *callbacks])
    steps = _plan(configuration, prepared).steps * configuration.training.epochs
    module = prepared.module(configuration, steps)
    if module.clips_gradients:
        trainer.gradient_clip_val = None
    trainer.fit(module, _loader(configuration, prepared, trainer), ckpt_path=str(last) if last.is_file() else None)
    module.load_state_dict(weights(best), strict=False)  # a frozen encoder's weights are not in checkpoints
    return bool(trainer.is_global_zero)


@contextmanager
def _interruptible(log: ProgressLog) -> Iterator[None]:
    """An interruption is logged, and says how to go on.

    Lightning leaves the interpreter instead of passing one on; here that is the interruption it was.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as left:
        stop = left.__context__ if isinstance(left, SystemExit) else left
        if isinstance(left, SIGTERMException):
            stop = KeyboardInterrupt()
        if not isinstance(stop, KeyboardInterrupt):
            raise
        log.write("stopped")
        raise type(stop)("the same command goes on where it stopped") from None


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
    write_json(out / "metrics.json", selected)
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


def _plan(configuration: Configuration, prepared: PreparedTraining, rank: int = 0) -> BatchPlan:
    training = configuration.training
    return BatchPlan(len(prepared.split.train), training.batch_size, training.seed, rank, training.processes)


def _loader(configuration: Configuration, prepared: PreparedTraining, trainer: lightning.Trainer) -> PlannedLoader:
    plan = _plan(configuration, prepared, trainer.global_rank)
    workers = configuration.training.workers
    examples: Any = prepared.examples  # what a batch is, the module knows that belongs to them
    return PlannedLoader(examples, plan, lambda: trainer.global_step, workers, prepared.negatives)


def _selection(
    configuration: Configuration, prepared: PreparedTraining, best: Path, on_validation: ValidationCallback
) -> Selection:
    training = configuration.training
    sample = _sample(prepared.split.selection, training.validate_mentions)

    def look() -> Mapping[str, float]:
        return figures(prepared.rank(sample))

    schedule = LookSchedule(
        training.validate_every,
        training.patience,
        training.validate_every_steps,
        training.select_by,
        training.select_ties == "later",
    )
    return Selection(look, best, schedule, on_validation=on_validation)


def _sample(mentions: Sequence[Mention], count: int | None) -> list[Mention]:
    """`count` of the mentions, evenly spread over the list."""
    if count is None or count >= len(mentions):
        return list(mentions)
    return [mentions[number * len(mentions) // count] for number in range(count)]
