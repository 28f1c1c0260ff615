"""What a page says first, in one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass

from melder.evaluation.comparison import Comparison
from melder.evaluation.report.numbers import format_number
from melder.linking.evidence import ExplainedCandidate, Explanation
from melder.metrics.metrics import Metrics

__all__ = ["LEVEL", "Headline", "comparison_headline", "explanation_headline", "p_text", "report_headline"]

LEVEL = 0.05  # from this p on, adjusted for the figures that are compared, no difference is shown
FIGURE, WORDS = "hits@1", "Hits@1"
COMPARED = {"lexical": "the names", "text": "the texts", "image": "the pictures"}  # what a unit compares, in words


@dataclass(frozen=True)
class Headline:
    """What a page says first.

    Args:
        text: A sentence.
        tone: How it is meant: `right`, `wrong`, or neither (empty).
    """

    text: str
    tone: str = ""


def report_headline(metrics: Metrics, name_match: Metrics) -> Headline:
    """Hits@1 beside what comparing names alone reaches.

    Args:
        metrics: Of the run.
        name_match: Of comparing names alone.

    Returns:
        The sentence.
    """
    points = 100 * (metrics[FIGURE] - name_match[FIGURE])
    values = f"{WORDS} {metrics[FIGURE]:.1%}, name match {name_match[FIGURE]:.1%}"
    if abs(points) < 0.05:
        return Headline(f"{values}: no better than comparing names.", "wrong")
    direction, tone = ("above", "right") if points > 0 else ("below", "wrong")
    return Headline(f"{values}: {_points(points)} {direction} comparing names.", tone)


def comparison_headline(comparison: Comparison) -> Headline:
    """Which of two systems has the better hits@1, if the test shows a difference.

    Args:
        comparison: Of two systems.

    Returns:
        The sentence.
    """
    figure = comparison.figures[FIGURE]
    difference = 100 * figure["difference"]
    better, worse = ("B", "A") if difference > 0 else ("A", "B")
    low, high = sorted(bound if difference > 0 else -bound for bound in figure["difference_ci"])
    bounds = " to ".join(format_number(100 * bound, "+.1f") for bound in (low, high))
    evidence = f"(95 % interval {bounds}, adjusted p {p_text(figure['p_holm'])})"
    if figure["p_holm"] < LEVEL:
        return Headline(f"{better} is better than {worse} by {_points(difference)} of {WORDS} {evidence}.")
    if not figure["difference"]:
        return Headline(f"No difference shown: A and B have the same {WORDS} {evidence}.")
    return Headline(f"No difference shown: {better} is {_points(difference)} of {WORDS} ahead {evidence}.")


def explanation_headline(explanation: Explanation) -> Headline:
    """Which entity comes first, how far ahead of the next, and what that rests on.

    Args:
        explanation: Of one mention.

    Returns:
        The sentence.
    """
    surface, candidates = explanation.surface, explanation.candidates
    if not candidates:
        return Headline(f"No entity was found for “{surface}”.")
    best = f"“{surface}” is linked to {candidate_name(candidates[0])}"
    if len(candidates) == 1:
        return Headline(f"{best}, the only candidate.")
    lead, second = candidates[0].score - candidates[1].score, candidate_name(candidates[1])
    if f"{lead:.3f}" == "0.000":
        return Headline(f"{best}, level with {second}.")
    return Headline(f"{best}, {lead:.3f} ahead of {second}{_reasons(candidates[0], candidates[1])}.")


def candidate_name(candidate: ExplainedCandidate) -> str:
    return candidate.name or candidate.id


def p_text(p: float) -> str:
    """0.013, or that it is smaller than can be told apart.

    Args:
        p: From 0 to 1.

    Returns:
        In words.
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _points(difference: float) -> str:
    points = f"{abs(difference):.1f}"
    return f"{points} point{'' if points == '1.0' else 's'}"


def _reasons(best: ExplainedCandidate, second: ExplainedCandidate) -> str:
    """The unit that speaks most for the best candidate against the second, and the one that speaks most against it."""
    margins = {unit: value - second.units.get(unit, 0.0) for unit, value in best.units.items()}
    if not margins:
        return ""
    pro, contra = max(margins, key=margins.__getitem__), min(margins, key=margins.__getitem__)
    reasons = f", mostly by {_compared(pro)} ({format_number(margins[pro], '+.3f')})"
    if margins[contra] < 0:
        reasons += f"; {_compared(contra)} point the other way ({format_number(margins[contra], '+.3f')})"
    return reasons


def _compared(unit: str) -> str:
    return COMPARED.get(unit, f"the scores of {unit.replace('_', ' ')}")
