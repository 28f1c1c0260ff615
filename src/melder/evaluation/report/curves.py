"""How a training went: a small line chart for each figure that it logged."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Chart", "Curves", "charts", "read_curves"]

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

    Args:
        run: The run's directory.

    Returns:
        By figure, its value by step; none without logs.
    """
    curves: dict[str, dict[int, float]] = {}
    logs = run / "logs"
    for file in [*sorted(logs.glob("metrics-*.csv"), key=_number), logs / "metrics.csv"]:
        for row in _rows(file):
            step = _value(row.get("step"))
            for name, value in row.items():
                number = _value(value)
                if name and name not in ("step", "epoch") and number is not None and step is not None:
                    curves.setdefault(name, {})[int(step)] = number
    return {name: sorted(points.items()) for name, points in sorted(curves.items(), key=lambda curve: _place(curve[0]))}


@dataclass(frozen=True)
class Chart:
    """A line of a figure by step.

    Args:
        words: What it is.
        last_step, last_value: Where it ends.
        low, high: The range of the values.
        points: In units of the drawing, as SVG has them.
        single: Whether there is one point only.
        width, height: Of the drawing.
    """

    words: str
    last_step: int
    last_value: float
    low: float
    high: float
    points: str
    single: bool
    width: int = WIDTH
    height: int = HEIGHT


def charts(logged: Curves) -> list[Chart]:
    """The charts of a training, one a figure; many points become the means of their neighbours.

    Args:
        logged: Of `read_curves`.

    Returns:
        In the order of the figures.
    """
    return [_chart(name, points) for name, points in logged.items()]


def _chart(name: str, logged: Sequence[tuple[int, float]]) -> Chart:
    points = _thinned(logged)
    first, last = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    across, up = (last - first) or 1.0, (high - low) or 1.0
    places = [(WIDTH * (step - first) / across, HEIGHT * (1 - (value - low) / up)) for step, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    words = WORDS.get(name, name.replace("_", " "))
    return Chart(words, *logged[-1], low, high, line, len(places) == 1)


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
