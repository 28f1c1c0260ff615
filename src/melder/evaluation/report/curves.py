"""How a training went: a small line chart for each figure that it logged."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from melder.evaluation.report.figures import ReportSection, section
from melder.evaluation.report.markup import Markup, element

__all__ = ["Curves", "curves", "read_curves"]

Curves = Mapping[str, Sequence[tuple[int, float]]]  # (step, value) in the order of steps, by the name of the figure

WIDTH, HEIGHT = 300, 90  # of a drawing, in its own units
POINTS = 200  # of a line; of more, neighbours become their mean
WORDS = {
    "generator_entropy": "entropy of the generator's choices, in nats",
    "generator_rank": "mean rank of what the generator picks",
    "generator_reward": "the generator's reward",
    "generator_baseline": "the generator's baseline",
    "generator_active_hinges": "share of active hinges",
    "false_negatives": "false-negative rate, on planted copies",
    "mrr": "MRR on the selection set",
    "hits@1": "hits@1 on the selection set",
}


def read_curves(run: Path) -> Curves:
    """What the logs of a run hold; those of an interrupted training and of the one that went on are one.

    Lines that are not readable are left out: a report is about something else.
    """
    found: dict[str, dict[int, float]] = {}
    logs = run / "logs"
    for file in [*sorted(logs.glob("metrics-*.csv"), key=_number), logs / "metrics.csv"]:
        for row in _rows(file):
            step = _value(row.get("step"))
            for name, value in row.items():
                known = _value(value)
                if name and name not in ("step", "epoch") and known is not None and step is not None:
                    found.setdefault(name, {})[int(step)] = known
    return {name: sorted(points.items()) for name, points in sorted(found.items(), key=lambda each: _place(each[0]))}


def curves(logged: Curves) -> ReportSection:
    """The charts; a figure's last value stands beside its name."""
    explanation = "Figures that were logged during training, by step. Lowest and highest values stand at the left."
    charts = [_chart(name, points) for name, points in logged.items()]
    return section("How it was trained", explanation, element("div", *charts, class_="curves"))


def _chart(name: str, points: Sequence[tuple[int, float]]) -> Markup:
    words, last = WORDS.get(name, name.replace("_", " ")), points[-1]
    caption = element("figcaption", f"{words}: {last[1]:.4g} at step {last[0]:,}")
    return element("figure", caption, _line(_thinned(points)))


def _line(points: Sequence[tuple[float, float]]) -> Markup:
    """An SVG of one line. Screen readers pass over it: the caption has its last value."""
    first, last = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    across, up = (last - first) or 1.0, (high - low) or 1.0
    places = [(WIDTH * (x - first) / across, HEIGHT * (1 - (y - low) / up)) for x, y in points]
    shapes = [
        element("rect", x="0", y="0", width=str(WIDTH), height=str(HEIGHT), class_="track"),
        element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_="line"),
        *(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", class_="bar") for x, y in places if len(places) == 1),
        element("text", f"{high:.3g}", x="4", y="14"),
        element("text", f"{low:.3g}", x="4", y=str(HEIGHT - 5)),
    ]
    return element("svg", *shapes, viewBox=f"0 -3 {WIDTH} {HEIGHT + 6}", aria_hidden="true")


def _thinned(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """At most `POINTS`, each the mean of as many neighbours."""
    size = math.ceil(len(points) / POINTS)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [(sum(step for step, _ in g) / len(g), sum(value for _, value in g) / len(g)) for g in groups]


def _rows(file: Path) -> Sequence[Mapping[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            return list(csv.DictReader(opened))
    except (OSError, ValueError, csv.Error):
        return []


def _value(word: str | None) -> float | None:
    try:
        value = float(word or "")
    except (ValueError, TypeError):
        return None
    return value if math.isfinite(value) else None


def _number(file: Path) -> int:
    digits = file.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _place(name: str) -> tuple[bool, bool, str]:
    """Selection first, then the negatives' figures, then losses."""
    return name.startswith("loss"), name not in ("mrr", "hits@1"), name
