"""`melder kb search`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from melder.cli.console import say
from melder.cli.kb.changing import Directory
from melder.cli.kb.reading import NEAREST, AsJson, Limit, did_you_mean, print_entities
from melder.records import MelderError

if TYPE_CHECKING:
    from melder.kb import KnowledgeBase

__all__ = ["search"]

SHORTEST = 3  # letters by which a word is taken for one that was misspelt


def search(
    kb: Directory,
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Of a name or an alias; the last one may be only begun.")
    ],
    limit: Limit = 10,
    as_json: AsJson = False,
) -> None:
    """Find entities by words of their names, the best first; no model is read.

    \b
    melder kb search flags-kb guinea bis
    """
    from melder.kb import open_knowledge_base

    query = " ".join(words)
    if not query.strip():
        raise MelderError("what is searched for is empty: give words of a name")
    with open_knowledge_base(kb) as base:
        rows = list(dict.fromkeys([*base.rows([query]).values(), *base.named(query), *base.search(query, limit)]))
        if rows:
            print_entities(base.records(rows[:limit]), as_json)
            return
        remedy = did_you_mean(base.records(_alike(base, query))) or f"`melder kb list {kb}` shows what there is"
    say(f"no entity of {kb} has a name with {query!r}; {remedy}")


def _alike(base: KnowledgeBase, query: str) -> list[int]:
    """Rows of entities with a word that begins as the last one of the query does, as long as possible."""
    last = query.split()[-1]
    beginnings = (last[:length] for length in range(len(last) - 1, SHORTEST - 1, -1))
    return next((rows for beginning in beginnings if (rows := base.search(beginning, NEAREST))), [])
