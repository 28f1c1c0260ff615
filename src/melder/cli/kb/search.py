"""`melder kb search`"""

from __future__ import annotations

from typing import Annotated

import typer

from melder.cli.console import say
from melder.cli.kb.changing import Directory
from melder.cli.kb.reading import AsJson, Limit, print_entities

__all__ = ["search"]


def search(
    kb: Directory,
    query: Annotated[str, typer.Argument(help="Words of a name or an alias; the last one may be only begun.")],
    limit: Limit = 10,
    as_json: AsJson = False,
) -> None:
    """Find entities by words of their names, the best first; no model is read.

    \b
    melder kb search flags-kb "guinea bis"
    """
    from melder.kb import open_knowledge_base

    with open_knowledge_base(kb) as base:
        rows = list(dict.fromkeys([*base.rows([query]).values(), *base.named(query), *base.search(query, limit)]))
        print_entities(base.records(rows[:limit]), as_json)
    if not rows:
        say(f"no entity of {kb} has a name with {query!r}")
