"""Reports as single HTML files that need nothing beside them: of one evaluation, of two compared, of one link."""

from melder.evaluation.report.contrasts import comparison_page
from melder.evaluation.report.curves import read_curves
from melder.evaluation.report.examples import confident_errors, confused_pairs, examples
from melder.evaluation.report.explanation import ExplanationPage, write_explanation
from melder.evaluation.report.headlines import comparison_headline, p_text
from melder.evaluation.report.page import (
    ComparedSystem,
    ComparisonPage,
    ConfusedPair,
    Contrast,
    Example,
    ReportPage,
    Shown,
)
from melder.evaluation.report.write import write_comparison, write_report

__all__ = [
    "ComparedSystem",
    "ComparisonPage",
    "ConfusedPair",
    "Contrast",
    "Example",
    "ExplanationPage",
    "ReportPage",
    "Shown",
    "comparison_headline",
    "comparison_page",
    "confident_errors",
    "confused_pairs",
    "examples",
    "p_text",
    "read_curves",
    "write_comparison",
    "write_explanation",
    "write_report",
]
