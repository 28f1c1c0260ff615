"""`melder kb verify`"""

from __future__ import annotations

import typer

from melder.cli.console import counting, say
from melder.cli.kb.changing import Directory
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["verify"]


def verify(
    kb: Directory,
    untrusted: bool = typer.Option(
        False, "--untrusted", help="It is a stranger's: check all that it says of itself, and link to it once."
    ),
    candidates: str = typer.Option(
        None, "--candidates", help="With --untrusted: the search that it keeps prepared and that is tried too."
    ),
) -> None:
    """Read a knowledge base through and check every block of every file against its digest.

    Names each block that is damaged and each file that is missing or cut, and ends with status 2 then.

    \b
    melder kb verify flags-kb
    melder kb verify downloaded-kb --untrusted
    """
    from melder.kb.inspection import verify as read_through

    if untrusted:
        import melder

        with counting() as start:
            melder.load(kb, candidates=candidates, counting=start, trusted=False).close()
    with counting() as start:
        entities, found = read_through(kb, start)
    if found:
        raise MelderError("\n".join(found))
    say(f"{kb}: {how_many(entities, 'entity')}, and every file is as it was written")
