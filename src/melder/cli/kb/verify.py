"""`melder kb verify`"""

from __future__ import annotations

from melder.cli.console import counting, say
from melder.cli.kb.changing import Directory
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["verify"]


def verify(kb: Directory) -> None:
    """Read a knowledge base through and check every block of every file against its digest.

    Names each block that is damaged and each file that is missing or cut, and ends with status 2 then.

    \b
    melder kb verify flags-kb
    """
    from melder.kb.inspection import verify as read_through

    with counting() as start:
        entities, found = read_through(kb, start)
    if found:
        raise MelderError("\n".join(found))
    say(f"{kb}: {how_many(entities, 'entity')}, and every file is as it was written")
