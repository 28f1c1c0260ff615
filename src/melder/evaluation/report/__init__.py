"""A report of one evaluation: a single HTML file that needs nothing beside it and runs no script."""

from melder.evaluation.report.examples import confident_errors, examples
from melder.evaluation.report.page import Example, ReportPage, Shown
from melder.evaluation.report.write import write_report

__all__ = ["Example", "ReportPage", "Shown", "confident_errors", "examples", "write_report"]
