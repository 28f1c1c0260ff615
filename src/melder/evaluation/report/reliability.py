"""The reliability diagram: how often the answer was indeed missing, for mentions of about the same NIL probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from melder.evaluation.report.figures import ReportSection, section, table
from melder.evaluation.report.markup import Markup, element, join

__all__ = ["diagram", "reliability"]

SIDE = 300  # of the drawing, in its own units
EDGE = 36  # left of and below it, for the scales


def reliability(nil: Mapping[str, Any]) -> ReportSection:
    """The diagram, its numbers as a table, and those of real NIL mentions where there are any."""
    explanation = (
        f"The probability that the entity is not in the knowledge base, on {nil['mentions']:,} mentions, each with its "
        f"entity among the candidates and with it taken out (weight {nil['share']:.0%}). Fitted on {nil['fitted_on']}. "
        f"{_summary(nil)} Dots on the line are well calibrated; bars are 95 % intervals."
    )
    parts = [diagram(nil["bins"]), _table(nil["bins"])]
    if "real" in nil:
        real = nil["real"]
        words = f"{real['nil']:,} of {real['mentions']:,} mentions have no entity in fact. {_summary(real)}"
        parts += [element("p", words, class_="note"), diagram(real["bins"]), _table(real["bins"])]
    return section("None of these", explanation, *parts)


def diagram(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """An SVG of predicted against observed shares, the diagonal beside it; screen readers have the table."""
    whole = SIDE + EDGE
    shapes = [
        element("rect", x=str(EDGE), y="0", width=str(SIDE), height=str(SIDE), class_="track"),
        _line(_x(0), _y(0), _x(1), _y(1), "diagonal"),
        *(shape for each in bins for shape in _dot(each)),
        *(_word(_x(tick), str(SIDE + 18), f"{tick:.0%}") for tick in (0, 0.5, 1)),
        *(_word(str(EDGE - 4), _y(tick - 0.03), f"{tick:.0%}") for tick in (0.5, 0.97)),
    ]
    return element("svg", *shapes, viewBox=f"0 0 {whole} {whole}", class_="reliability", aria_hidden="true")


def _summary(nil: Mapping[str, Any]) -> str:
    auroc = "" if nil["auroc"] is None else f"AUROC {nil['auroc']:.3f}, "
    said = f"{auroc}Brier score {nil['brier']:.3f}, calibration error {nil['ece']:.3f}."
    if "threshold" not in nil:
        return said
    shares = [f"{name} {'–' if nil[name] is None else format(nil[name], '.3f')}" for name in ("precision", "recall")]
    return f"{said} From {nil['threshold']:g} on, “none of these” has {' and '.join(shares)}."


def _table(bins: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        (
            f"{b['low']:.0%}–{b['high']:.0%}",
            f"{b['count']:,}",
            f"{b['predicted']:.1%}",
            join([f"{b['observed']:.1%} ", element("small", "[{:.1%}, {:.1%}]".format(*b["observed_ci"]))]),
        )
        for b in bins
    ]
    return table(("Probability", "Count", "Predicted", "Observed"), rows, "numbers")


def _dot(bin_: Mapping[str, Any]) -> tuple[Markup, Markup]:
    """A dot, and the line of its interval."""
    x, (low, high) = _x(bin_["predicted"]), bin_["observed_ci"]
    dot = element("circle", cx=x, cy=_y(bin_["observed"]), r="6", class_="bar")
    return _line(x, _y(low), x, _y(high), "interval"), dot


def _line(x1: str, y1: str, x2: str, y2: str, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _word(x: str, y: str, word: str) -> Markup:
    return element("text", word, x=x, y=y, text_anchor="end")


def _x(share: float) -> str:
    return f"{EDGE + SIDE * share:.1f}"


def _y(share: float) -> str:
    return f"{SIDE * (1 - share):.1f}"
