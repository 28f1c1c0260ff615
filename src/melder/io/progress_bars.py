"""Progress for people: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from melder.io.progress_lines import ProgressLines

if TYPE_CHECKING:  # it imports PyTorch, and a command's first line should not wait for that
    from melder.protocols import Counting, Progress

__all__ = ["progress_bars"]


@contextmanager
def progress_bars(console: Console | None = None) -> Iterator[Counting]:
    """Bars with the time left on a terminal, else a line each half minute.

    Args:
        console: Where they appear; by default the standard error output.

    Yields:
        Starts a bar, given a title and a total; what it returns is told of each advance.
    """
    console = console or Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield ProgressLines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as progress:

        def start(title: str, total: int) -> Progress:
            task = progress.add_task(title, total=total)
            return lambda done: progress.advance(task, done)

        yield start
