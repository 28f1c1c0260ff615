"""What the first stage finds for mentions, found once: a training that goes on reads it from its directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from melder.io.atomic import replace_file
from melder.protocols import Counting, Linker
from melder.records import MelderError, Mention

__all__ = ["first_candidates"]

CHUNK = 256  # mentions between signs of progress


def first_candidates(
    linker: Linker, mentions: Sequence[Mention], top: int, file: Path, counting: Counting, title: str
) -> list[list[str]]:
    """The ids of each mention's first candidates; they are kept in a file, as JSON Lines.

    Args:
        linker: The first stage.
        mentions: To link.
        top: How many candidates.
        file: Where they are kept.
        counting: Starts a progress bar with a title and a total.
        title: Of the bar.

    Returns:
        Best first.

    Raises:
        MelderError: The file is of other mentions.
    """
    if not file.is_file():
        progress = counting(title, len(mentions))
        rows = list[str]()
        for start in range(0, len(mentions), CHUNK):
            block = mentions[start : start + CHUNK]
            links, _ = linker.links_and_ranks(block, top)
            found = [[candidate.id for candidate in link.candidates] for link in links]
            rows += [
                json.dumps({"id": mention.id, "candidates": identities}) + "\n"
                for mention, identities in zip(block, found, strict=True)
            ]
            progress(len(block))
        replace_file(file, "".join(rows).encode())
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if [record["id"] for record in records] != [mention.id for mention in mentions]:
        raise MelderError(f"{file}: is of other mentions: the data set has changed; remove {file.parent}")
    return [record["candidates"] for record in records]
