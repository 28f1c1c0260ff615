"""Evaluation of a run, or of the predictions that it left: exact ranks, figures, a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from melder.data import DataSet
from melder.data import load as load_data
from melder.evaluation.predictions import CANDIDATES, read_predictions
from melder.evaluation.stored import links_of, mentions_of, ranks_of
from melder.linking.configuration import ModelConfiguration
from melder.linking.configuration_file import read_yaml
from melder.linking.evaluation import Evaluation, assess
from melder.linking.exact import ExactLinker
from melder.linking.run import open_run, read_configuration, versions
from melder.protocols import Counting
from melder.records import Item, MelderError, Mention

__all__ = ["Evaluation", "describe", "evaluate", "evaluate_predictions", "evaluate_run"]


def evaluate_run(
    run: Path,
    data: Path,
    split: str,
    *,
    knowledge_base: Path | None = None,
    skip_bad: bool = False,
    counting: Counting,
    on_unreadable: Callable[[Item, Exception], None] | None = None,
    changes: Sequence[str] = (),
) -> Evaluation:
    """Evaluate a run on a split, against the data set's own entities or those of `knowledge_base`.

    Bad records raise `BadData` or, with `skip_bad`, are left out; unreadable pictures raise too unless
    `on_unreadable` is to be told of them. `changes` are settings of the method that take the place of the run's.
    """
    model, configuration = open_run(run, changes)
    model.encoder.on_unreadable = on_unreadable
    dataset, base = _open(configuration, data, knowledge_base, skip_bad)
    mentions = dataset.split(split)
    modalities, progress = configuration.data.modalities, counting("encoding entities", len(base.entities))
    linker = ExactLinker(model, base, data=dataset, modalities=modalities, progress=progress)
    result = evaluate(linker, mentions, progress=counting("linking", len(mentions)), seen=_seen(run))
    return _described(result, run, configuration, split)


def evaluate(
    linker: ExactLinker,
    mentions: Sequence[Mention],
    *,
    progress: Callable[[int], None] | None = None,
    seen: Sequence[str] | None = None,
) -> Evaluation:
    """Figures, links and ranks of the mentions; `seen` are the ids of the entities that were answers in training."""
    links, ranks = linker.links_and_ranks(mentions, CANDIDATES, progress)
    return assess(mentions, links, ranks, linker.data, linker.knowledge_base, seen)


def evaluate_predictions(
    run: Path, file: Path, data: Path, *, knowledge_base: Path | None = None, skip_bad: bool = False
) -> Evaluation:
    """What `evaluate_run` found when it wrote the predictions in `file`, without linking again.

    The split is the one that holds the mentions. Raises MelderError when the predictions are not of this data.
    """
    configuration, rows = read_configuration(run), read_predictions(file)
    dataset, base = _open(configuration, data, knowledge_base, skip_bad)
    split, mentions = mentions_of(rows, dataset, str(file))
    links = links_of(rows, mentions, {entity.id: entity for entity in base.entities}, str(file))
    result = assess(mentions, links, ranks_of(rows), dataset, base, _seen(run))
    return _described(result, run, configuration, split)


def describe(
    run: Path, configuration: ModelConfiguration, dataset: DataSet, knowledge_base: DataSet, split: str
) -> dict[str, Any]:
    """What figures were measured on and with: method, encoder, data, configuration, seed, versions."""
    whole = {**read_yaml(run / "config.yaml"), "method": configuration.method.model_dump(mode="json")}
    return {
        "method": str(configuration.method.name),  # type: ignore[attr-defined]
        "encoder": configuration.encoder.name,
        "data": dataset.directory.resolve().name,
        "knowledge_base": knowledge_base.directory.resolve().name,
        "split": split,
        "configuration": whole,
        "seed": (whole.get("training") or {}).get("seed"),
        "versions": versions(),
    }


def _open(
    configuration: ModelConfiguration, data: Path, knowledge_base: Path | None, skip_bad: bool
) -> tuple[DataSet, DataSet]:
    """The data set of the mentions and that of the entities, the same one where no other is named."""
    text_field = configuration.data.text_field
    dataset = load_data(data, text_field=text_field, skip_bad=skip_bad)
    if knowledge_base is None:
        return dataset, dataset
    return dataset, load_data(knowledge_base, text_field=text_field, skip_bad=skip_bad)


def _described(result: Evaluation, run: Path, configuration: ModelConfiguration, split: str) -> Evaluation:
    dataset, base = result.dataset, result.knowledge_base
    result.figures |= describe(run, configuration, dataset, base, split)
    result.skipped = [*dataset.skipped, *(base.skipped if base is not dataset else [])]
    return result


def _seen(run: Path) -> list[str] | None:
    """The answers of the run's training mentions, if the run says."""
    path = run / "trained_on.json"
    if not path.is_file():
        return None
    try:
        answers: list[str] = json.loads(path.read_text(encoding="utf-8"))["answers"]
    except (ValueError, TypeError, KeyError):
        raise MelderError(f"{path}: is damaged; remove it to evaluate without the groups of entities seen") from None
    return answers
