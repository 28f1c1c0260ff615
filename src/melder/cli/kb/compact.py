"""`melder kb compact`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import say

__all__ = ["compact"]


def compact(kb: Path = typer.Argument(metavar="KB", help="The directory of a knowledge base.")) -> None:
    """Merge small segments, and give back the space of what was removed; nothing is encoded again.

    Who has the knowledge base open keeps the version that it opened; that is removed by the next change after.

    \b
    melder kb compact flags-kb
    """
    from melder.kb import Writer
    from melder.kb import compact as merge

    with Writer.open(kb) as writer:
        before = len(writer.base.parts)
        merge(writer)
        say(f"{kb}: {before:,} segments are {len(writer.base.parts):,} now")
