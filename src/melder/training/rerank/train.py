"""A second look for a run that is there: trained, its weight learned, and put into the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from melder.data import DataSet
from melder.io.atomic import remove
from melder.linking.cross_stage import CrossStage
from melder.linking.opening import open_linker
from melder.linking.rerank import RerankingLinker
from melder.linking.resolver import Features
from melder.linking.second_look import open_stage
from melder.linking.second_stage import SecondStage
from melder.metrics.fusion import learn_weight
from melder.protocols import Counting, Linker
from melder.records import MelderError, Mention
from melder.runs.configuration_file import checked, read_yaml
from melder.runs.cross_encoder import save_cross_encoder
from melder.runs.directory import read_configuration
from melder.runs.rerank_configuration import DIRECTORY, FIRST_STAGE, RerankConfiguration, write_rerank
from melder.training.configuration import Configuration
from melder.training.from_entities import data_to_train_on
from melder.training.loop.fit import evenly_spread, fit, interruptible
from melder.training.loop.progress import LOG, ProgressLog, StepProgress
from melder.training.loop.run_lock import run_lock
from melder.training.loop.selection import ValidationCallback
from melder.training.rerank.configuration import RerankTrainingConfiguration
from melder.training.rerank.cross import PreparedCross, cross_training, prepare_cross
from melder.training.split import Split, split_data

__all__ = ["LearnedWeight", "train_second_look"]

BEGUN = "rerank_training"  # in a run: candidates and checkpoints of a training that has not ended


@dataclass(frozen=True)
class LearnedWeight:
    """The weight of a second look and the shares of selection mentions whose first candidate is right.

    Args:
        weight: Of the second stage.
        before, after: Of the first stage alone, and of both with this weight.
        mentions: How many mentions that is of; 0 = the weight was named.
    """

    weight: float
    before: float
    after: float
    mentions: int


def train_second_look(
    run: Path,
    settings: RerankTrainingConfiguration,
    *,
    data: Path | None = None,
    counting: Counting = lambda title, total: lambda done: None,
    on_validation: ValidationCallback = lambda epoch, figures: None,
    callbacks: Sequence[Callback] = (),
) -> LearnedWeight:
    """Train what is to be trained of a second look, learn its weight on the run's selection set, and keep both.

    A training that was interrupted goes on from its last checkpoint.

    Args:
        run: A finished run, which stays as it is beside its directory `rerank`.
        data: The data set in the place of that which the run was trained on.
        counting: Starts a progress bar with a title and a total.
        on_validation: Gets the epoch and figures of each look at the selection set.
        callbacks: Further ones of Lightning.

    Returns:
        The weight, and what both stages do with it.

    Raises:
        MelderError: `run` is no run, settings do not fit together, or another process trains there.
    """
    read_configuration(run)  # that it is a run at all
    configuration = _whole(run, data)
    if not settings.top:
        raise MelderError("rerank.top is 0, which is no second look; read some candidates")
    out = run / BEGUN
    log = ProgressLog(out / "logs" / LOG)
    described = {"rerank": settings.model_dump(mode="json"), "data": str(configuration.data.directory.resolve())}
    with run_lock(out, described), interruptible(log):
        dataset = data_to_train_on(configuration, run, counting)
        split = split_data(configuration, dataset)
        features = _features(configuration, run, dataset, split)
        first = open_linker(run, dataset, data=dataset, changes=[FIRST_STAGE], counting=counting, features=features)
        prepared = None
        if settings.cross is not None:
            prepared = prepare_cross(settings, run, out, first, dataset, split, counting)
            trains = configuration.model_copy(update={"training": cross_training(settings)})
            fit(trains, prepared, out, on_validation, [StepProgress(counting), *callbacks])
        stage = _stage(settings.look(), run, prepared)
        learned = _learned(settings, first, stage, split.selection, counting)
        _keep(run, settings.look().model_copy(update={"weight": learned.weight}), stage)
    remove(out)
    return learned


def _whole(run: Path, data: Path | None) -> Configuration:
    """The configuration that the run was trained with."""
    content = read_yaml(run / "config.yaml")
    if data is not None:
        content = {**content, "data": {**content["data"], "directory": str(data)}}
    content.pop("rerank", None)
    return checked(Configuration, content, str(run / "config.yaml"))


def _features(configuration: Configuration, run: Path, dataset: DataSet, split: Split) -> list[Features]:
    """What need not be encoded again: features that the first stage was trained on."""
    where = configuration.data.features or run / "features"
    if configuration.encoder.trained:
        return []
    parts = dict.fromkeys(["entities", "train", split.source])
    return [(dataset, part, where) for part in parts if (where / part / "features.json").is_file()]


def _stage(look: RerankConfiguration, run: Path, prepared: PreparedCross | None) -> SecondStage:
    """The second stage; of a cross-encoder, that which was trained."""
    if prepared is None:
        return open_stage(look, run)
    prepared.model.requires_grad_(False).eval()
    return CrossStage(prepared.model, look)


def _learned(
    settings: RerankTrainingConfiguration,
    first: Linker,
    stage: SecondStage,
    selection: Sequence[Mention],
    counting: Counting,
) -> LearnedWeight:
    if settings.weight is not None:
        return LearnedWeight(settings.weight, 0.0, 0.0, 0)
    mentions = evenly_spread(selection, settings.weight_mentions)
    linker = RerankingLinker(first, stage, top=settings.top, weight=0.5)
    scores = linker.stage_scores(mentions, counting("learning the weight", len(mentions)))
    weight, after = learn_weight(scores)
    _, before = learn_weight(scores, weights=(0.0,))
    return LearnedWeight(weight, before, after, len(mentions))


def _keep(run: Path, look: RerankConfiguration, stage: Any) -> None:
    """Put the second look in the place of an earlier one; the settings, which make it one, come last."""
    remove(run / DIRECTORY)
    if look.cross is not None:
        save_cross_encoder(stage.encoder, run)
    write_rerank(run, look)
