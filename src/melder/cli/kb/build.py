"""`melder kb build`"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import typer

from melder.cli.console import counting, finish, say
from melder.cli.kb.changing import EntitiesOrQuery, Images, SkipBad
from melder.cli.kb.tables import (
    Columns,
    Encoding,
    FromSql,
    ListSeparator,
    MergeRows,
    Query,
    Sheet,
    entity_file,
    noted,
    table_options,
)
from melder.cli.ray import Address, Threads, Workers, compute_with
from melder.io.counts import how_many
from melder.records import MelderError

__all__ = ["build"]


class StoredAs(str, Enum):
    float32 = "float32"
    float16 = "float16"
    int8 = "int8"
    residual4 = "residual4"
    residual2 = "residual2"
    residual1 = "residual1"


class KeptPictures(str, Enum):
    small = "small"
    original = "original"
    none = "none"


def build(
    entities: EntitiesOrQuery = None,
    run: Path = typer.Argument(None, help="The directory of a run; or give --encoder."),
    images: Images = None,
    out: Path = typer.Option(..., "--out", help="The directory of the knowledge base; a build stopped there goes on."),
    encoder: str = typer.Option(None, "--encoder", help="Without any training: this encoder as it is, and the names."),
    sides: StoredAs = typer.Option(StoredAs.float16, "--sides", help="How sides are stored, the smallest last."),
    tokens: int = typer.Option(
        None, "--tokens", min=1, help="Merge an entity's most alike tokens until so many of a text or picture are left."
    ),
    pictures: KeptPictures = typer.Option(
        KeptPictures.small, "--pictures", help="What is kept of pictures: small copies, the original files, or nothing."
    ),
    skip_bad: SkipBad = False,
    columns: Columns = [],  # noqa: B006
    encoding: Encoding = None,
    list_separator: ListSeparator = None,
    merge_rows: MergeRows = False,
    sheet: Sheet = None,
    from_sql: FromSql = None,
    query: Query = None,
    ray: Address = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Build a knowledge base of your own entities, which can be linked to without anything else.

    \b
    melder kb build runs/flags --entities flags/entities.jsonl --out flags-kb
    melder kb build --encoder starter --entities products.csv --images pictures --out shop-kb
    melder link shop-kb --text "Two of the small green ones" --mention "the small green ones" --image shelf.jpg

    Columns of a table: id, name, aliases, description, types, images, of which id must be there and a name or a
    description; | stands between several aliases, types or images. `melder kb check` says how a table is read.

    A query to a database gives them too, by the same columns: --from-sql URL --query SELECT, see docs/scale.md.

    With --ray the same comes out, byte for byte if the number of --threads is the same: see docs/scale.md.
    """
    compute_with(ray, workers, threads)
    if (run is None) == (encoder is None):
        raise MelderError("name either a run, or with --encoder an encoder that is used as it is")
    from melder.building.build import build as build_kb
    from melder.building.segments import write_segments
    from melder.jobs.ray.build import segments_on

    table = table_options(columns, encoding, sheet, list_separator, merge_rows, lenient=skip_bad)
    source = entity_file(entities, images, table, from_sql, query)
    with noted(source), counting() as start:
        built = build_kb(
            out,
            source,
            run=run,
            encoder=encoder,
            kind=sides.value,
            tokens=tokens,
            pictures=pictures.value,
            skip_bad=skip_bad,
            counting=start,
            write=write_segments if ray is None else segments_on(ray, workers=workers, threads=threads or 1),
        )
    if line := str(built.throughput):
        say(line)
    say(f"{out}: {how_many(built.entities, 'entity')}. Next: melder link {out} --text TEXT --mention WORDS")
    finish(built.skipped, list(built.unreadable.values()))
