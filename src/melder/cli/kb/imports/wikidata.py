"""`melder kb import wikidata`"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from melder.cli.console import say
from melder.cli.kb.imports.common import Lang, Out, Pictures, Source, write
from melder.io.counts import how_many
from melder.records import MelderError, languages_of

if TYPE_CHECKING:
    from melder.data.tables.options import Notes
    from melder.data.vocabularies.imported import Imported
    from melder.io.problems import Problems

__all__ = ["wikidata"]


def wikidata(
    source: Source,
    out: Out,
    lang: Lang = "en",
    classes: list[str] = typer.Option(
        [], "--class", metavar="QID", help="Only instances (P31) and direct subclasses (P279) of this; several: of any."
    ),
    all_subclasses: bool = typer.Option(
        False, "--all-subclasses", help="Instances of all classes below --class too, for which the dump is read first."
    ),
    class_file: Path = typer.Option(
        None, "--subclasses", metavar="FILE", help="A list of classes to take instances of, as a query gives it."
    ),
    id_file: Path = typer.Option(None, "--ids", help="A file of ids, one a line: only these entities."),
    type_names: bool = typer.Option(True, help="Call types by their labels, for which the dump is read twice."),
    pictures: Pictures = None,
) -> None:
    """Entities of a dump of Wikidata in JSON or (truthy) N-Triples, or of a query's result (CSV, TSV, JSON).

    A dump of any size takes the memory of one entity. Labels in the languages after the first become aliases.

    \b
    melder kb import wikidata latest-all.json.bz2 --class Q6256 --lang de,en --out countries.jsonl
    melder kb import wikidata latest-truthy.nt.bz2 --class Q6256 --all-subclasses --out countries.jsonl
    melder kb import wikidata query.csv --out cities.jsonl --pictures pictures.tsv
    """
    from melder.data.vocabularies.wikidata import is_query_result, named_types, query_entities
    from melder.data.vocabularies.wikidata_dump import WikidataDump

    languages = languages_of(lang)
    if source.is_file() and is_query_result(source):
        if classes or all_subclasses or class_file is not None or id_file is not None:
            raise MelderError(f"{source}: is the result of a query; --class and --ids go with dumps")
        write(source, out, pictures, lambda problems, notes: query_entities(source, problems, notes))
        return
    if all_subclasses and not classes:
        raise MelderError("--all-subclasses are those of a class; name it with --class")
    listed = frozenset([*classes, *_ids(class_file)])
    dump = WikidataDump(source, languages, listed, frozenset(_ids(id_file)))
    if all_subclasses and source.is_file():
        dump = replace(dump, classes=dump.subclasses())
        say(f"--class: {how_many(len(dump.classes), 'class')} with those below")

    def read(problems: Problems, notes: Notes) -> Iterator[Imported]:
        return named_types(dump, problems, notes) if type_names else dump.entities(problems, notes)

    write(source, out, pictures, read)


def _ids(path: Path | None) -> list[str]:
    if path is None:
        return []
    from melder.io.problems import read_bytes

    lines = (line.strip().strip('"') for line in read_bytes(path).decode(errors="replace").splitlines())
    ids = [line.rpartition("/")[2] for line in lines if line]  # a query gives addresses
    if not ids:
        raise MelderError(f"{path}: is empty; write an id a line")
    return ids
