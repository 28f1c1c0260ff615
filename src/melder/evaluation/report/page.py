"""What a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from melder.evaluation.metrics import Metrics
from melder.records import Ranks

__all__ = ["Example", "ReportPage", "Shown"]


@dataclass(frozen=True)
class Shown:
    """A candidate of an example; `units` holds each unit's part of the score, `gold` marks the right answer."""

    id: str
    name: str
    score: float
    units: Mapping[str, float] = field(default_factory=dict)
    picture: Path | bytes | None = None
    gold: bool = False


@dataclass(frozen=True)
class Example:
    """A mention and its candidates, best first.

    `start` and `end` are null when the surface does not occur in the text; `answer` is the name of the gold
    entity, null for NIL.
    """

    text: str
    start: int | None
    end: int | None
    surface: str
    answer: str | None
    candidates: Sequence[Shown]
    picture: Path | bytes | None = None


@dataclass(frozen=True)
class ReportPage:
    """The contents of a report; sections of which nothing is given are left out.

    run: what was run, a name and a value a row (method, data, split, versions, seed …)
    metrics, name_match: as `melder.evaluation.metrics` gives them, of the method and of the baseline
    ranks: those that `metrics` was computed from
    modalities: metrics with parts of the input taken away, by a name such as "text only"
    slices: metrics by group of mentions
    """

    title: str
    summary: str
    run: Mapping[str, str]
    metrics: Metrics
    name_match: Metrics
    ranks: Ranks
    modalities: Mapping[str, Metrics] = field(default_factory=dict)
    slices: Mapping[str, Metrics] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    errors: Sequence[Example] = ()
