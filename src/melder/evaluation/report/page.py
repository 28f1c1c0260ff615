"""What a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melder.evaluation.comparison import Comparison
from melder.evaluation.report.curves import Curves
from melder.metrics.metrics import Metrics
from melder.metrics.unit_margins import UnitMargin
from melder.records import Ranks

__all__ = ["ComparedSystem", "ComparisonPage", "ConfusedPair", "Contrast", "Example", "ReportPage", "Shown"]


@dataclass(frozen=True)
class Shown:
    """A candidate of an example.

    Args:
        id: Of the entity.
        name: Of the entity.
        score: Where it is known.
        units: Each unit's part of the score.
        picture: The entity's first.
        gold: Whether it is the right answer.
        rank: Where it does not follow from the place in the list.
    """

    id: str
    name: str
    score: float | None = None
    units: Mapping[str, float] = field(default_factory=dict)
    picture: Path | bytes | None = None
    gold: bool = False
    rank: float | None = None


@dataclass(frozen=True)
class Example:
    """A mention and its candidates.

    Args:
        text: It is in.
        start, end: Where, in code points; None when the surface does not occur in the text.
        surface: Its words.
        answer: The name of the gold entity; None = NIL.
        candidates: Best first; where the gold entity is none of the first, it comes last.
        picture: The mention's first.
        id: Of the mention.
        rank: The gold entity's realistic rank; None = NIL.
        groups: The slices that the mention belongs to.
    """

    text: str
    start: int | None
    end: int | None
    surface: str
    answer: str | None
    candidates: Sequence[Shown]
    picture: Path | bytes | None = None
    id: str = ""
    rank: float | None = None
    groups: Sequence[str] = ()

    @property
    def confused(self) -> frozenset[str]:
        """The ids of the gold entity and of the one that was answered."""
        return frozenset(c.id for place, c in enumerate(self.candidates) if c.gold or place == 0)


@dataclass(frozen=True)
class ConfusedPair:
    """Two entities that were taken for each other.

    Args:
        first, second: Which.
        taken: How often the first was answered with the second.
        taken_back: The other way.
    """

    first: Shown
    second: Shown
    taken: int
    taken_back: int


@dataclass(frozen=True)
class ReportPage:
    """The contents of a report; sections of which nothing is given are left out.

    Args:
        run: What was run, a name and a value a row (method, data, split, versions, seed …).
        metrics, name_match: As `melder.metrics.metrics` gives them, of the method and of the baseline.
        ranks: Those that `metrics` was computed from.
        modalities: Metrics with parts of the input taken away, by a name such as "text only".
        slices: Metrics by group of mentions.
        units: What each unit contributes.
        nil: How good the NIL probabilities are, as `melder.linking.nil_calibration.nil_figures` gives it.
        confused: Pairs of entities that are taken for one another, the most frequent first.
        examples: Some mentions, right or wrong.
        errors: The surest of the `wrong` mentions, which the reader may filter.
        training: What was logged while the method was trained, (step, value) by figure.
    """

    title: str
    summary: str
    run: Mapping[str, str]
    metrics: Metrics
    name_match: Metrics
    ranks: Ranks
    modalities: Mapping[str, Metrics] = field(default_factory=dict)
    slices: Mapping[str, Metrics] = field(default_factory=dict)
    units: Mapping[str, UnitMargin] = field(default_factory=dict)
    nil: Mapping[str, Any] | None = None
    confused: Sequence[ConfusedPair] = ()
    examples: Sequence[Example] = ()
    errors: Sequence[Example] = ()
    wrong: int = 0
    training: Curves = field(default_factory=dict)


@dataclass(frozen=True)
class Contrast:
    """One mention as two systems answered it.

    Args:
        a, b: The mention with the answers of either.
    """

    a: Example
    b: Example


@dataclass(frozen=True)
class ComparedSystem:
    """What a system is called.

    Args:
        name: In words: its method and its run, or its file.
        origin: Where its predictions are from.
    """

    name: str
    origin: str = ""


@dataclass(frozen=True)
class ComparisonPage:
    """What a page of a comparison shows.

    Args:
        comparison: The figures.
        systems: What both are called.
        only_a, only_b: Some of the mentions that one alone gets right.
    """

    comparison: Comparison
    systems: tuple[ComparedSystem, ComparedSystem]
    only_a: Sequence[Contrast] = ()
    only_b: Sequence[Contrast] = ()
