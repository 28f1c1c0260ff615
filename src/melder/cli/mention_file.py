"""A file of mentions as commands read it: its notes are printed, and what is no mention is given back."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from melder.cli.console import say
from melder.records import BadRecord, Mention

if TYPE_CHECKING:
    from melder.data.tables.options import TableOptions

__all__ = ["read_mention_file"]


def read_mention_file(source: Path, table: TableOptions) -> tuple[list[Mention], list[BadRecord]]:
    """The mentions of a file, or with "-" of standard input, and the lines that are none.

    Raises:
        MelderError: There is none that is good.
    """
    from melder.data.tables.options import Notes
    from melder.io.problems import Problems
    from melder.jobs.mention_file import lines_of, mentions_of

    problems, notes = Problems(), Notes()
    if str(source) == "-":
        mentions = list(lines_of(io.BytesIO(sys.stdin.buffer.read()), "standard input", problems, notes))
    else:
        mentions = list(mentions_of(source, problems, table, notes))
    for note in notes:
        say(f"note: {note}")
    if problems.records and not mentions:
        raise problems.error()
    return mentions, problems.records
