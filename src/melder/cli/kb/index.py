"""`melder kb index`"""

from __future__ import annotations

import typer

from melder.cli.console import counting, say
from melder.cli.kb.changing import Directory
from melder.io.counts import how_many

__all__ = ["index"]


def index(
    kb: Directory,
    kind: str = typer.Option(..., "--kind", help="hnsw, flat, certified or faiss:FACTORY, as --candidates has it."),
    remove: bool = typer.Option(False, "--remove", help="Remove that index instead."),
) -> None:
    """Prepare a search and keep it in the knowledge base, so that `--candidates` opens it instead of making it.

    What is added later is searched beside it, and `melder kb compact` may take entities out of it: make it again when
    `melder kb info` says that it knows few of them.

    \b
    melder kb index flags-kb --kind hnsw
    melder link flags-kb --candidates hnsw --text "Guinea won the toss" --mention Guinea
    """
    from melder.kb import Writer
    from melder.search.stored import store_search

    if remove:
        with Writer.open(kb) as writer:
            writer.remove_index(kind)
        say(f"{kb}: the index {kind} is removed")
        return
    with counting() as start:
        entities = store_search(kb, kind, start)
    say(f"{kb}: {kind} knows {how_many(entities, 'entity')}")
