"""Evaluation of a run: exact ranks, figures, predictions, a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melder.data import DataSet
from melder.data import load as load_data
from melder.evaluation.metrics import Metrics, metrics
from melder.evaluation.name_match import name_match
from melder.evaluation.predictions import CANDIDATES, Prediction, predictions
from melder.evaluation.report import Example, ReportPage, confident_errors, examples
from melder.evaluation.slices import slices
from melder.linking.configuration import ModelConfiguration
from melder.linking.configuration_file import read_yaml
from melder.linking.exact import ExactLinker
from melder.linking.model import Counting
from melder.linking.run import open_run, versions
from melder.records import BadRecord, Item, Link, MelderError, Mention, Ranks

__all__ = ["Evaluation", "describe", "evaluate", "evaluate_run"]

SHOWN = 12  # examples, and errors, of a report


@dataclass
class Evaluation:
    """What came out: `figures` as in metrics.json, the links and ranks behind them, what was left out."""

    figures: dict[str, Any]
    mentions: Sequence[Mention]
    links: Sequence[Link]
    ranks: Ranks
    dataset: DataSet
    knowledge_base: DataSet
    skipped: list[BadRecord]

    @property
    def predictions(self) -> list[Prediction]:
        return predictions(self.mentions, self.links, self.ranks)

    def page(
        self,
        title: str = "Melder report",
        *,
        chosen: Sequence[int] | None = None,
        modalities: Mapping[str, Metrics] | None = None,
    ) -> ReportPage:
        """The contents of an HTML report; `chosen` are the mentions to show, by default some from the whole list."""
        f = self.figures
        wrong = confident_errors(self.mentions, self.links, SHOWN)
        step = max(1, len(self.mentions) // SHOWN)
        some = chosen if chosen is not None else range(0, len(self.mentions), step)
        return ReportPage(
            title=title,
            summary=f"{f['method']} on {f['data']}, split {f['split']}: {f['mentions']:,} mentions against "
            f"{f['candidates']:,} entities, all of them scored.",
            run={name: str(f[name]) for name in ("method", "encoder", "data", "split", "seed")} | f["versions"],
            metrics=f,
            name_match=f["name_match"],
            ranks=self.ranks,
            modalities=modalities or {},
            slices=f["slices"],
            examples=self._examples(some[:SHOWN]),
            errors=self._examples(wrong),
        )

    def _examples(self, rows: Sequence[int]) -> list[Example]:
        mentions, links = [self.mentions[row] for row in rows], [self.links[row] for row in rows]
        return examples(mentions, links, self.dataset, self.knowledge_base)


def evaluate_run(
    run: Path,
    data: Path,
    split: str,
    *,
    knowledge_base: Path | None = None,
    skip_bad: bool = False,
    counting: Counting,
    on_unreadable: Callable[[Item, Exception], None] | None = None,
) -> Evaluation:
    """Evaluate a run on a split, against the data set's own entities or those of `knowledge_base`.

    Bad records raise `BadData` or, with `skip_bad`, are left out; unreadable pictures raise too unless
    `on_unreadable` is to be told of them.
    """
    model, configuration = open_run(run)
    model.encoder.on_unreadable = on_unreadable
    settings = configuration.data
    dataset = load_data(data, text_field=settings.text_field, skip_bad=skip_bad)
    mentions = dataset.split(split)
    base = (
        dataset
        if knowledge_base is None
        else load_data(knowledge_base, text_field=settings.text_field, skip_bad=skip_bad)
    )
    progress = counting("encoding entities", len(base.entities))
    linker = ExactLinker(model, base, data=dataset, modalities=settings.modalities, progress=progress)
    result = evaluate(linker, mentions, progress=counting("linking", len(mentions)), seen=_seen(run))
    result.figures |= describe(run, configuration, dataset, base, split)
    result.skipped = [*dataset.skipped, *(base.skipped if base is not dataset else [])]
    return result


def evaluate(
    linker: ExactLinker,
    mentions: Sequence[Mention],
    *,
    progress: Callable[[int], None] | None = None,
    seen: Sequence[str] | None = None,
) -> Evaluation:
    """Figures, links and ranks of the mentions; `seen` are the ids of the entities that were answers in training."""
    links, ranks = linker.links_and_ranks(mentions, CANDIDATES, progress)
    answered = [mention for mention in mentions if mention.answer is not None]
    if not answered:
        raise MelderError("no mention has an answer in the knowledge base: there is nothing to rank")
    entities = {entity.id: entity for entity in linker.entities}
    count = len(linker.entities)
    figures: dict[str, Any] = metrics(ranks, count)
    figures["name_match"] = metrics(name_match(answered, linker.entities), count)
    figures["slices"] = slices(answered, entities, seen, ranks)
    return Evaluation(figures, mentions, links, ranks, linker.data, linker.knowledge_base, [])


def describe(
    run: Path, configuration: ModelConfiguration, dataset: DataSet, knowledge_base: DataSet, split: str
) -> dict[str, Any]:
    """What figures were measured on and with: method, encoder, data, configuration, seed, versions."""
    whole = read_yaml(run / "config.yaml")
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
