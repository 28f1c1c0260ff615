"""What is fuzzed with coverage (guided.py): a target takes any bytes, says how much it read, and never raises.

A file is read as a command reads it; what comes out is written and read again, since that is where half of a surrogate
pair or a text that is none is noticed. Refusals are `MelderError` or `ApiError`, in words that can be printed.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from melder.data import EntityFile, Limits, UnreadablePicture, read_picture
from melder.data.tables.options import Notes
from melder.data.vocabularies.imported import Imported, write_imported
from melder.data.vocabularies.mediawiki_titles import title_entities
from melder.data.vocabularies.schema_org import schema_entities
from melder.data.vocabularies.skos import skos_entities
from melder.data.vocabularies.wikidata import is_query_result, named_types, query_entities
from melder.data.vocabularies.wikidata_dump import WikidataDump
from melder.io.checksums import digest_of
from melder.io.problems import Problems
from melder.jobs.mention_reader import mentions_of
from melder.kb.manifest import CURRENT, GENERATIONS, open_current
from melder.languages import Languages
from melder.records import Entity, MelderError, Mention
from melder.serving import ServiceSettings
from melder.serving.errors import ApiError, refused
from melder.serving.nif import read_nif, write_nif
from melder.serving.reconcile.queries import mention_of, pictures_of, read_queries

__all__ = ["CORPUS", "TARGETS", "seeds"]

CORPUS = Path(__file__).parent / "corpus"
SETTINGS = ServiceSettings()
PICTURES = Limits(pixels=1_000_000)  # decoding the largest takes some hundredths of a second
LANGUAGES = Languages.parse("en,de")


@cache
def _folder() -> Path:
    """Where inputs become files: in memory, where the system has such a place."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="melder-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))


def _said(error: Exception) -> None:
    """A refusal can be printed, and says something."""
    assert str(error).strip()
    assert len(str(error)) < 100_000
    str(error).encode()


def _problems(problems: Problems) -> None:
    for problem in problems.records:
        str(problem).encode()


def read_mentions(ending: str, content: bytes) -> int:
    path, problems, notes, count = _folder() / f"mentions{ending}", Problems(), Notes(), 0
    path.write_bytes(content)
    try:
        for mention in mentions_of(path, problems, notes=notes):
            count += 1
            assert Mention.model_validate_json(mention.model_dump_json()) == mention
    except MelderError as error:
        _said(error)
    _problems(problems)
    "".join(notes).encode()
    return count


def read_entities(ending: str, content: bytes) -> int:
    path, problems, count = _folder() / f"entities{ending}", Problems(), 0
    path.write_bytes(content)
    try:
        source = EntityFile(path)
        for _, entity in source.entities(problems):
            count += 1
            assert Entity.model_validate_json(entity.model_dump_json()) == entity
        _problems(source.check()[1])
        "".join(source.notes).encode()
    except MelderError as error:
        _said(error)
    _problems(problems)
    return count


Importer = Callable[[Path, Problems, Notes], Iterator[Imported]]


def import_entities(ending: str, importer: Importer, content: bytes) -> int:
    path, out, problems, notes = _folder() / f"import{ending}", _folder() / "out.jsonl", Problems(), Notes()
    count = 0
    path.write_bytes(content)
    for pictures in (None, _folder() / "pictures.tsv"):
        try:
            count = write_imported(out, importer(path, problems, notes), pictures)
            lines = out.read_bytes().splitlines()
            assert [Entity.model_validate_json(line).id != "" for line in lines] == [True] * count
        except MelderError as error:
            _said(error)
    _problems(problems)
    "".join(notes).encode()
    return count


def wikidata(path: Path, problems: Problems, notes: Notes) -> Iterator[Imported]:
    if is_query_result(path):
        return query_entities(path, problems, notes)
    dump = WikidataDump(path, LANGUAGES, frozenset({"Q6256"}))
    dump.subclasses()
    return named_types(WikidataDump(path, LANGUAGES), problems, notes)


def decode_picture(content: bytes) -> int:
    try:
        picture = read_picture(content, limits=PICTURES)
    except UnreadablePicture as error:
        _said(error)
        return 0
    assert picture.mode == "RGB"
    assert picture.width * picture.height <= PICTURES.pixels
    return len(picture.tobytes())


def read_document(content: bytes) -> int:
    try:
        graph, texts = read_nif(content, 500)
        answer = write_nif(graph, texts, [[] for _ in texts], "http://www.wikidata.org/entity/")
        assert len(answer) < 100 * len(content) + 10_000
    except ApiError as refusal:
        return _refused(refusal)
    return len(texts)


def reconcile(content: bytes) -> int:
    try:
        queries = read_queries(content.decode(errors="replace"), SETTINGS)
    except ApiError as refusal:
        return _refused(refusal)
    for query in queries.values():
        if not isinstance(query, str) and query.fault is None:
            assert mention_of(query).text or pictures_of(query)
            assert 1 <= query.wanted(50) <= 50
    return len(queries)


def _refused(refusal: ApiError) -> int:
    assert 400 <= refusal.status_code < 500
    _said(Exception(refusal.detail))
    json.loads(refused(refusal.status_code, refusal.detail).body)
    return 0


def open_manifest(content: bytes) -> int:
    """Of a knowledge base that somebody has sealed again: the digest in CURRENT is that of the content."""
    directory = _folder() / "kb"
    (directory / GENERATIONS).mkdir(parents=True, exist_ok=True)
    (directory / GENERATIONS / "000001.json").write_bytes(content)
    (directory / CURRENT).write_text(f"000001.json {digest_of(content)}\n")
    try:
        generation, descriptor = open_current(directory)
    except MelderError as error:
        _said(error)
        return 0
    os.close(descriptor)
    return generation.entities


TARGETS: dict[str, Callable[[bytes], int]] = {
    "mention-lines": partial(read_mentions, ".jsonl"),
    "mention-array": partial(read_mentions, ".json"),
    "mention-table": partial(read_mentions, ".csv"),
    "entity-lines": partial(read_entities, ".jsonl"),
    "entity-array": partial(read_entities, ".json"),
    "entity-table": partial(read_entities, ".csv"),
    "query-table": partial(read_entities, ".tsv"),
    "wikidata-dump": partial(import_entities, ".jsonl", wikidata),
    "wikidata-triples": partial(import_entities, ".nt", wikidata),
    "query-result": partial(import_entities, ".json", wikidata),
    "skos-turtle": partial(import_entities, ".ttl", lambda path, _, notes: skos_entities(path, LANGUAGES, notes)),
    "skos-xml": partial(import_entities, ".rdf", lambda path, _, notes: skos_entities(path, LANGUAGES, notes)),
    "skos-json": partial(import_entities, ".jsonld", lambda path, _, notes: skos_entities(path, LANGUAGES, notes)),
    "schema-org": partial(import_entities, ".json", lambda path, *kept: schema_entities(path, LANGUAGES, *kept)),
    "titles": partial(import_entities, ".txt", title_entities),
    "picture": decode_picture,
    "nif": read_document,
    "reconcile": reconcile,
    "manifest": open_manifest,
}


def seeds(target: str) -> list[Path]:
    return sorted((CORPUS / target).iterdir())
