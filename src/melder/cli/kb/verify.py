"""`melder kb verify`"""

from __future__ import annotations

from pathlib import Path

import typer

from melder.cli.console import counting, say
from melder.records import MelderError

__all__ = ["verify"]


def verify(kb: Path = typer.Argument(metavar="KB", help="The directory of a knowledge base.")) -> None:
    """Read a knowledge base through and check every block of every file against its digest.

    Names each block that is damaged, or the first file that is missing or cut, and ends with status 2 then.

    \b
    melder kb verify flags-kb
    """
    from melder.kb import KnowledgeBase
    from melder.kb.inspection import faults

    with KnowledgeBase.open(kb) as base, counting() as start:
        found = faults(base, start("reading segments", len(base.parts)))
        entities = len(base)
    if found:
        raise MelderError("\n".join(found))
    say(f"{kb}: {entities:,} entities, and every file is as it was written")
