"""`melder kb list`"""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from melder.cli.console import say
from melder.cli.entity_types import unknown_type
from melder.cli.kb.changing import Directory
from melder.cli.kb.reading import AsJson, Limit, print_entities

__all__ = ["listing"]


def listing(
    kb: Directory,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only entities of this type (repeatable).")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List entities of a knowledge base, in its own order.

    \b
    melder kb list flags-kb --type country --limit 50
    """
    from melder.kb import open_knowledge_base

    with open_knowledge_base(kb) as base:
        rows = base.typed(types).tolist() if types else range(len(base))
        if types and not rows:
            raise unknown_type(kb, types[0], base.entities)
        print_entities(base.records(list(islice(rows, limit))), as_json)
        if len(rows) > limit:
            say(f"the first {limit:,} of {len(rows):,}; --limit shows more")
