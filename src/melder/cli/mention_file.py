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

__all__ = ["read_mention_file", "say_unplaced"]


def read_mention_file(source: Path, table: TableOptions) -> tuple[list[Mention], list[BadRecord]]:
    """The mentions of a file, or with "-" of standard input, and the lines that are none.

    Raises:
        MelderError: There is none that is good.
    """
    from melder.data.tables.options import Notes
    from melder.io.problems import Problems
    from melder.jobs.mention_reader import lines_of, mentions_of

    problems, notes = Problems(), Notes()
    if str(source) == "-":
        mentions = list(lines_of(io.BytesIO(sys.stdin.buffer.read()), "standard input", problems, notes, table))
    else:
        mentions = list(mentions_of(source, problems, table, notes))
    for note in notes:
        say(f"note: {note}")
    if problems.records and not mentions:
        raise problems.error()
    return mentions, problems.records


def say_unplaced(count: int, mentions: int, done: str) -> None:
    """Say how many mentions do not stand in their text, if any, since a slip of the pen is the usual reason.

    Args:
        count: Of these.
        mentions: Of all.
        done: What was done with them, such as "linked".
    """
    from melder.io.counts import how_many, in_number

    if count:
        place = in_number("[does not stand in its text|do not stand in their texts]", count)
        how = in_number("[its words, with all of its text|their words, with all of their texts]", count)
        say(f"note: {count:,} of {how_many(mentions, 'mention')} {place}, letter by letter: {done} by {how}")
