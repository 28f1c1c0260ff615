"""`melder kb export`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from melder.cli.console import counting, say, writable
from melder.cli.kb.changing import Directory
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["export"]


def export(
    kb: Directory,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write entities, as .jsonl or .csv.")],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Write the pictures that are kept to here."),
    ] = None,
) -> None:
    """Write the entities of a knowledge base as a file that `melder kb build` reads.

    \b
    melder kb export flags-kb --out flags.jsonl --images pictures
    """
    from melder.building.exporting import FORMATS, export_entities
    from melder.kb import open_knowledge_base

    if out.suffix.lower() not in FORMATS:
        raise MelderError(f"--out {out}: ends in none of {', '.join(FORMATS)}; name such a file")
    if images is not None and images.exists() and (not images.is_dir() or any(images.iterdir())):
        raise MelderError(f"--images {images}: is in use; name a new directory")
    writable(out)
    with open_knowledge_base(kb) as base, counting() as start:
        pictures = export_entities(base, out, images, start("exporting", len(base)))
        say(f"{out}: {how_many(len(base), 'entity')} written")
    if images is not None:
        say(f"{images}: {how_many(pictures, 'picture')} written")
