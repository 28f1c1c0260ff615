"""What comes from Wikidata: a dump with the names of its types, or the result of a query as CSV, TSV or JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from melder.data.entity_file import EntityFile
from melder.data.tables.options import Notes
from melder.data.tables.sparql import is_sparql_json
from melder.data.vocabularies.imported import Imported, commons_address
from melder.data.vocabularies.wikidata_dump import WikidataDump
from melder.io.problems import Problems
from melder.records import Entity, MelderError

__all__ = ["is_query_result", "named_types", "query_entities"]


def is_query_result(path: Path) -> bool:
    """Whether a file is the result of a query, and no dump.

    Args:
        path: Of the file.

    Returns:
        By its ending, and how it begins.
    """
    return path.suffix.lower() in (".csv", ".tsv") or is_sparql_json(path)


def query_entities(path: Path, problems: Problems, notes: Notes) -> Iterator[Imported]:
    """The entities of a query's result, the rows of one made one.

    Args:
        path: Of the file.
        problems: Takes rows that are no entity.
        notes: Told what a user should know.

    Yields:
        In the order of the file.

    Raises:
        MelderError: Its columns are not those of a query that asks for labels.
    """
    source = EntityFile(path)
    header = replace(source.table, needs=()).header(Notes())
    if header is None or not header.wikidata:
        raise MelderError(
            f"{path}: has no variable with a label, such as ?item and ?itemLabel; ask for labels in the query, or give "
            f"the table to `melder kb build` as it is, with --column id=HEADER"
        )
    for _, entity in source.linked_entities(problems, notes):
        yield Imported(entity, tuple(map(commons_address, entity.images)))


def named_types(dump: WikidataDump, problems: Problems, notes: Notes) -> Iterator[Imported]:
    """The entities of a dump with the names of their types, for which it is read twice; they wait in a file.

    Args:
        dump: That is read.
        problems: Takes what is no entity.
        notes: Told what a user should know.

    Yields:
        In the order of the dump.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as file:
        kinds = set[str]()
        for entity, _ in dump.entities(problems, notes):
            kinds.update(entity.types)
            file.write(entity.model_dump_json() + "\n")
        file.seek(0)
        names = dump.labels(kinds) if kinds else {}
        if unnamed := len(kinds - names.keys()):
            notes.add(
                "{} [type has|types have] no label in the dump, and [keeps its id|keep their ids]",
                unnamed,
            )
        for line in file:
            entity = Entity.model_validate_json(line)
            types = tuple(dict.fromkeys(names.get(kind, kind) for kind in entity.types))
            yield Imported(entity.model_copy(update={"types": types}), tuple(map(commons_address, entity.images)))
