"""Options of commands that link."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Candidates", "Changes"]

Changes = Annotated[
    list[str],
    typer.Option("--set", help="A setting of the method instead of the run's, such as method.assignment=attention."),
]
Candidates = Annotated[
    str | None,
    typer.Option(
        "--candidates",
        help="Do not score every entity: certified (exact), or flat, hnsw, faiss:FACTORY, milvus:URI; "
        "see `melder kb index`.",
    ),
]
