"""An experiment's tables as Markdown and as LaTeX: figures in percent, intervals of 95 %."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from melder.evaluation.report.headlines import p_text
from melder.jobs.experiments.results import SHOWN_FIGURES, ComparedRows, ExperimentResults, ResultRow, ResultTable

__all__ = ["as_latex", "as_markdown"]

INTERVALS = ("hits@1", "mrr")  # figures whose intervals are shown
SPECIAL = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "−": "$-$",
        "–": "--",
    }
)

Rows = Sequence[Sequence[str]]
Grid = Callable[[str, Sequence[str], Rows], str]  # title, headings and cells -> one table


def as_markdown(results: ExperimentResults) -> str:
    """Every table, what is missing of it, and the comparisons.

    Args:
        results: Of an experiment.

    Returns:
        Text that ends with a newline.
    """
    return "\n\n".join(_parts(results, _markdown, lambda line: line)) + "\n"


def as_latex(results: ExperimentResults) -> str:
    r"""The same as tables of LaTeX, which need \usepackage{booktabs}; what is missing are comments.

    Args:
        results: Of an experiment.

    Returns:
        Text that ends with a newline.
    """
    return "\n\n".join(["% \\usepackage{booktabs}", *_parts(results, _latex, lambda line: f"% {line}")]) + "\n"


def _parts(results: ExperimentResults, grid: Grid, remark: Callable[[str], str]) -> list[str]:
    written = []
    for table in results.tables:
        written.append(grid(table.title, _headings(), [_cells(row) for row in table.rows]))
        if any(row.slices for row in table.rows):
            written.append(grid(f"{table.title}, H@1 by group", *_slices(table)))
        if table.missing:
            written.append("\n".join(remark(f"missing: {evaluation}") for evaluation in table.missing))
    if results.comparisons:
        figure = _heading(results.figure)
        headings = ("", "against", "on", figure, "95 %", "p", "p, Holm")
        written.append(grid("Comparisons", headings, [_compared(pair) for pair in results.comparisons]))
    return written


def _heading(figure: str) -> str:
    return figure.replace("hits", "H").upper()


def _headings() -> list[str]:
    figures = [[_heading(figure), *(["95 %"] if figure in INTERVALS else [])] for figure in SHOWN_FIGURES]
    return ["", "candidates", "mentions", "seeds", *(heading for pair in figures for heading in pair)]


def _cells(row: ResultRow) -> list[str]:
    cells = [row.name, f"{row.candidates:,}", f"{row.mentions:,}", str(row.seeds or "")]
    for figure in SHOWN_FIGURES:
        cells.append(f"{100 * row.means[figure]:.1f}")
        if figure in INTERVALS:
            low, high = (100 * min(max(bound, 0.0), 1.0) for bound in row.intervals[figure])
            cells.append(f"{low:.1f}–{high:.1f}")
    return cells


def _slices(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    groups = list(dict.fromkeys(group for row in table.rows for group in row.slices))
    cells = [
        [row.name, *(f"{100 * row.slices[group]:.1f}" if group in row.slices else "" for group in groups)]
        for row in table.rows
        if row.slices
    ]
    return ["", *groups], cells


def _compared(pair: ComparedRows) -> list[str]:
    if pair.difference is None or pair.holm is None:
        return [pair.row, pair.against, pair.title, "not yet", "", "", ""]
    low, high = (f"{100 * bound:+.1f}".replace("-", "−") for bound in pair.difference.interval)
    mean = f"{100 * pair.difference.mean:+.1f}".replace("-", "−")
    return [pair.row, pair.against, pair.title, mean, f"{low} to {high}", p_text(pair.difference.p), p_text(pair.holm)]


def _markdown(title: str, headings: Sequence[str], rows: Rows) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join([f"### {title}", "", *(f"| {' | '.join(map(_in_cell, line))} |" for line in lines)])


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")


def _latex(title: str, headings: Sequence[str], rows: Rows) -> str:
    columns = "l" + "r" * (len(headings) - 1)
    lines = [" & ".join(map(_escaped, line)) + r" \\" for line in (headings, *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _escaped(text: str) -> str:
    return re.sub(r" %", r"~%", text).replace("~%", "\0").translate(SPECIAL).replace("\0", r"~\%")
