"""The training itself: steps from wherever an earlier one stopped, the best look's weights at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from melder.records import Mention
from melder.training.configuration import Configuration
from melder.training.loop.averaging import keep_mean
from melder.training.loop.checkpoints import weights
from melder.training.loop.loader import PlannedLoader
from melder.training.loop.progress import ProgressLog
from melder.training.loop.selection import LookSchedule, Selection, ValidationCallback
from melder.training.loop.trainer import build_trainer
from melder.training.order import BatchPlan
from melder.training.ranking import figures
from melder.training.trainings import PreparedTraining

__all__ = ["evenly_spread", "fit", "interruptible"]


def fit(
    configuration: Configuration,
    prepared: PreparedTraining,
    out: Path,
    on_validation: ValidationCallback,
    callbacks: Sequence[Callback],
) -> bool:
    """Train, and leave the best weights in the model; False in the further processes of a training.

    Args:
        configuration: Of the training.
        prepared: Model, examples and how they are ranked.
        out: The directory of the run.
        on_validation: Told of each look at the selection set.
        callbacks: Of Lightning.

    Returns:
        Whether this is the first process.
    """
    last, best = out / "checkpoints" / "last.ckpt", out / "checkpoints" / "best.ckpt"
    selection = _selection(configuration, prepared, best, on_validation)
    trainer = build_trainer(configuration.training, out, [selection, *callbacks])
    steps = _plan(configuration, prepared).steps * configuration.training.epochs
    module = prepared.module(configuration, steps)
    if module.clips_gradients:
        trainer.gradient_clip_val = None
    trainer.fit(module, _loader(configuration, prepared, trainer), ckpt_path=str(last) if last.is_file() else None)
    module.load_state_dict(weights(best), strict=False)  # a frozen encoder's weights are not in checkpoints
    if len(selection.averaged) > 1:
        keep_mean(module, selection.averaged, selection.look, configuration.training.select_by, selection.highest)
    return bool(trainer.is_global_zero)


@contextmanager
def interruptible(log: ProgressLog) -> Iterator[None]:
    """An interruption is logged, and says how to go on.

    Lightning leaves the interpreter instead of passing one on; here that is the interruption it was.

    Args:
        log: Where it is said.

    Yields:
        Nothing.
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
    sample = evenly_spread(prepared.split.selection, training.validate_mentions)

    def look() -> Mapping[str, float]:
        return figures(prepared.rank(sample))

    schedule = LookSchedule(
        training.validate_every,
        training.patience,
        training.validate_every_steps,
        training.select_by,
        training.select_ties == "later",
        training.average,
    )
    return Selection(look, best, schedule, on_validation=on_validation)


def evenly_spread(mentions: Sequence[Mention], count: int | None) -> list[Mention]:
    """`count` of the mentions, evenly spread over the list.

    Args:
        mentions: Any.
        count: How many are wanted; None = all, as where there are fewer.

    Returns:
        Those, in their order.
    """
    if count is None or count >= len(mentions):
        return list(mentions)
    return [mentions[number * len(mentions) // count] for number in range(count)]
