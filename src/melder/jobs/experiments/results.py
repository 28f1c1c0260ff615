"""What came of an experiment as far as it is there: a table for each data set, and the declared comparisons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from melder.evaluation.predictions import read_predictions
from melder.evaluation.stored import ranks_of
from melder.jobs.experiments.plan import ExperimentPlan, PlannedEvaluation
from melder.metrics.metrics import FIGURES, per_mention
from melder.metrics.seeds import mean_over_seeds
from melder.metrics.significance import Difference, holm, paired_difference
from melder.records import MelderError

__all__ = ["SHOWN_FIGURES", "ComparedRows", "ExperimentResults", "ResultRow", "ResultTable", "results_of"]

SHOWN_FIGURES = ("hits@1", "hits@5", "hits@10", "mrr")
NAME_MATCH = "name match, no training"


@dataclass(frozen=True)
class ResultRow:
    """A line of a table: means over the seeds that are there.

    Args:
        seeds: How many these are; 0 = what needs no training.
        intervals: By figure, 95 %: over the seeds or, of a single one, over the mentions.
        slices: H@1 by group of mentions.
    """

    name: str
    seeds: int
    candidates: int
    mentions: int
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    slices: Mapping[str, float]


@dataclass(frozen=True)
class ResultTable:
    """Rows on one data set that search the same knowledge base.

    Args:
        title: In words.
        rows: With figures.
        missing: Evaluations that are not there yet.
    """

    title: str
    rows: Sequence[ResultRow]
    missing: Sequence[PlannedEvaluation]


@dataclass(frozen=True)
class ComparedRows:
    """One declared comparison, row − against.

    Args:
        title: Of the table.
        row, against: Names of rows.
        difference: None until all seeds of both are there.
        holm: p, adjusted for all comparisons of the experiment, those that are missing too.
    """

    title: str
    row: str
    against: str
    difference: Difference | None
    holm: float | None


@dataclass(frozen=True)
class ExperimentResults:
    """What came of an experiment.

    Args:
        tables: One a data set and knowledge base.
        comparisons: As the file declares them.
        figure: That is compared.
    """

    tables: Sequence[ResultTable]
    comparisons: Sequence[ComparedRows]
    figure: str

    def as_json(self) -> dict[str, Any]:
        return {
            "tables": [
                {"title": table.title, "rows": [vars(row) for row in table.rows], "missing": [*map(str, table.missing)]}
                for table in self.tables
            ],
            "figure": self.figure,
            "comparisons": [
                {
                    "table": one.title,
                    "row": one.row,
                    "against": one.against,
                    "difference": None if one.difference is None else vars(one.difference),
                    "p_holm": one.holm,
                }
                for one in self.comparisons
            ],
        }


Cell = tuple[str, str]  # the title of a table, a row's name


def results_of(plan: ExperimentPlan) -> ExperimentResults:
    """Tables and comparisons of what is there; nothing is run.

    Args:
        plan: Whose files are read.

    Returns:
        Both.

    Raises:
        MelderError: A file of figures or predictions is damaged, or two rows are not of the same mentions.
    """
    cells: dict[str, dict[str, list[PlannedEvaluation]]] = {}
    for evaluation in sorted(plan.evaluations, key=lambda one: _place(plan, one)):
        cells.setdefault(_title(evaluation), {}).setdefault(evaluation.row, []).append(evaluation)
    tables = [_table(title, rows, plan.experiment.slices) for title, rows in cells.items()]
    return ExperimentResults(tables, _comparisons(plan, cells), plan.experiment.figure)


def _place(plan: ExperimentPlan, evaluation: PlannedEvaluation) -> int:
    return [row.name for row in plan.experiment.rows].index(evaluation.row)


def _title(evaluation: PlannedEvaluation) -> str:
    base = "" if evaluation.knowledge_base is None else f", entities of {evaluation.knowledge_base.name}"
    return f"{evaluation.run.data} {evaluation.split}{base}"


def _table(title: str, rows: Mapping[str, Sequence[PlannedEvaluation]], slices: Sequence[str]) -> ResultTable:
    made, missing, names = list[ResultRow](), list[PlannedEvaluation](), list[ResultRow]()
    for name, evaluations in rows.items():
        figures = [_read(evaluation.figures) for evaluation in evaluations if evaluation.is_done]
        missing += [evaluation for evaluation in evaluations if not evaluation.is_done]
        if figures:
            made.append(_row(name, figures, slices))
            first = figures[0]
            names = names or [_name_match({**first["name_match"], "candidates": first["candidates"]})]
    return ResultTable(title, [*made, *names], missing)


def _row(name: str, figures: Sequence[Mapping[str, Any]], slices: Sequence[str]) -> ResultRow:
    means, intervals = dict[str, float](), dict[str, tuple[float, float]]()
    for figure in SHOWN_FIGURES:
        mean, interval = mean_over_seeds([seed[figure] for seed in figures])
        means[figure], intervals[figure] = mean, interval or tuple(figures[0][f"{figure}_ci"])
    hits = _slices(figures, tuple(slices))
    return ResultRow(name, len(figures), figures[0]["candidates"], figures[0]["mentions"], means, intervals, hits)


def _slices(figures: Sequence[Mapping[str, Any]], beginnings: tuple[str, ...]) -> dict[str, float]:
    """The mean H@1 of the groups whose names begin so; a seed may lack a group."""
    groups = dict.fromkeys(group for seed in figures for group in seed["slices"] if group.startswith(beginnings))
    return {
        group: fmean(seed["slices"][group]["hits@1"] for seed in figures if group in seed["slices"]) for group in groups
    }


def _name_match(figures: Mapping[str, Any]) -> ResultRow:
    means = {figure: figures[figure] for figure in SHOWN_FIGURES}
    intervals = {figure: tuple(figures[f"{figure}_ci"]) for figure in SHOWN_FIGURES}
    return ResultRow(NAME_MATCH, 0, figures["candidates"], figures["mentions"], means, intervals, {})


def _comparisons(
    plan: ExperimentPlan, cells: Mapping[str, Mapping[str, Sequence[PlannedEvaluation]]]
) -> list[ComparedRows]:
    """All that the file declares, in its order; p-values of what is missing count as 1, so that Holm's correction is
    for all of them from the beginning, and never too mild."""
    against = {row.name: row.against for row in plan.experiment.rows}
    pairs = list(_declared(against, cells))
    differences = [_difference(plan.experiment.figure, cells[title], row, other) for title, row, other in pairs]
    adjusted = holm([1.0 if one is None else one.p for one in differences])
    return [
        ComparedRows(title, row, other, difference, None if difference is None else float(p))
        for (title, row, other), difference, p in zip(pairs, differences, adjusted, strict=True)
    ]


def _declared(
    against: Mapping[str, str | None], cells: Mapping[str, Mapping[str, Sequence[PlannedEvaluation]]]
) -> Iterator[tuple[str, str, str]]:
    for title, rows in cells.items():
        for row in rows:
            other = against[row]
            if other is not None and other != row and other in rows:
                yield title, row, other


def _difference(
    figure: str, rows: Mapping[str, Sequence[PlannedEvaluation]], row: str, against: str
) -> Difference | None:
    if not all(evaluation.is_done for name in (row, against) for evaluation in rows[name]):
        return None
    first, second = (_by_mention(rows[name], figure) for name in (against, row))
    if first.keys() != second.keys():
        places = " and ".join(str(rows[name][0].predictions) for name in (against, row))
        raise MelderError(f"{places}: are not of the same mentions; remove both to evaluate them again")
    return paired_difference([*first.values()], [second[identity] for identity in first])


def _by_mention(evaluations: Sequence[PlannedEvaluation], figure: str) -> dict[str, float]:
    """The figure of each mention, the mean over the seeds."""
    values: dict[str, list[float]] = {}
    for evaluation in evaluations:
        rows = [row for row in read_predictions(evaluation.predictions) if row.gold is not None]
        column: npt.NDArray[np.float64] = per_mention(ranks_of(rows))[:, FIGURES.index(figure)]
        for row, value in zip(rows, column.tolist(), strict=True):
            values.setdefault(row.id, []).append(value)
    return {identity: fmean(each) for identity, each in values.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        complete = {*(f"{figure}_ci" for figure in SHOWN_FIGURES), "name_match", "slices"} <= figures.keys()
    except (OSError, ValueError, AttributeError):
        complete = False
    if not complete:
        raise MelderError(f"{path}: is damaged; remove it to evaluate that row again")
    return figures
