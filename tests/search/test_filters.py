"""Links to entities of some types are those of scoring everything and leaving the others out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import melder
from melder.building.build import add_entities, build, remove_entities
from melder.data import EntityFile
from melder.kb import KnowledgeBase
from melder.kb.shard_split import split
from melder.linking import ExactLinker
from melder.linking.opening import searching
from melder.linking.sharded import ShardWorker, attach_shards
from melder.records import Entity, Link, MelderError
from melder.search.filters import Types
from melder.search.indexes import pgvector
from melder.search.stored import store_search
from rounding import SCORE, close
from search.test_indexes import database, memory
from training.small import read_lines, write_lines

__all__ = ["memory"]  # a fixture
pytestmark = pytest.mark.usefixtures("small_segments")
TEXTS = ("a red kite at dusk", "the grey fox", "Blue panda", "kite of the green kind", "nothing known")
ASKED = (["kite"], ["panda", "fox"], ["red", "fox"], ['a "type", d\'ünn \\'], ["two\nlines"])
DATABASES = ("milvus:FILE", "qdrant:memory", "pgvector")
NAMES = ("certified", "flat", "hnsw", "faiss", *DATABASES)
PACKAGES = {"hnsw": "usearch", "faiss": "faiss", "milvus:FILE": "milvus_lite", "pgvector": "psycopg"}


@pytest.fixture(scope="module")
def data(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The creatures, each with its colour and its kind as types; one has a type that is hard to write, one has none."""
    folder = tmp_path_factory.mktemp("data")
    records = [each | {"types": each["name"].lower().split()} for each in read_lines(small_data / "entities.jsonl")]
    records[4]["types"] += [ASKED[3][0], ASKED[4][0]]
    del records[6]["types"]
    write_lines(folder / "entities.jsonl", records)
    shutil.copytree(small_data / "images", folder / "images")
    return folder


@pytest.fixture(scope="module")
def base(data: Path, small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base that keeps two searches, from which one entity was removed and to which one was added since."""
    out, source = tmp_path_factory.mktemp("typed") / "kb", EntityFile(data / "entities.jsonl")
    build(out, source, run=small_run, kind="float32", counting=lambda *_: lambda done: None)
    for name in ("flat", "certified"):
        store_search(out, name, lambda *_: lambda done: None)
    remove_entities(out, ["Q9"])
    add_entities(out, [Entity(id="new", name="Violet fox", types=("violet", "fox"))], source)
    return out


@pytest.fixture
def linker(base: Path) -> Iterator[ExactLinker]:
    made = melder.load(base)
    assert isinstance(made, ExactLinker)
    assert isinstance(made.source, KnowledgeBase)
    yield made
    made.source.close()


def expected(linker: ExactLinker, types: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
    """Every entity is scored, and those of other types are left out."""
    kinds = {entity.id: entity.types for entity in linker.entities}
    linker.search = None
    everything = [linker.link(text, len(kinds)) for text in TEXTS]
    return [
        [(each.id, each.score) for each in link.candidates if set(kinds[each.id]) & set(types)][:k]
        for link in everything
        if isinstance(link, Link)
    ]


def check(linker: Any, real: list[list[tuple[str, float]]], types: Sequence[str], k: int) -> None:
    for text, wanted in zip(TEXTS, real, strict=True):
        found = [(each.id, each.score) for each in linker.link(text, k, types=types).candidates]
        scores = dict(wanted)
        assert len(found) == len(wanted)
        assert close([score for _, score in found], [score for _, score in wanted], SCORE)
        assert close([score for _, score in found], [scores.get(each, wanted[-1][1]) for each, _ in found], SCORE)


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize("types", ASKED)
def test_scoring_all_of_them(linker: ExactLinker, types: list[str], k: int) -> None:
    check(linker, real := expected(linker, types, k), types, k)
    assert any(real)


@contextmanager
def opened(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an index, with a database where it has one."""
    if name.startswith("milvus"):
        with database(folder) as uri:
            yield f"milvus:{uri}"
    elif name == "qdrant:memory":
        request.getfixturevalue("memory")
        yield name
    elif name == "pgvector":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(pgvector.DSN, request.getfixturevalue("postgres"))
            yield name
    else:
        yield name


@pytest.mark.parametrize("few", [0, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_every_search(
    linker: ExactLinker,
    name: str,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if few and name in DATABASES:
        return  # of few entities none is asked for types
    monkeypatch.setattr("melder.search.two_stage.FEW", few)
    pytest.importorskip(PACKAGES.get(name, "numpy"))
    real = [expected(linker, types, 3) for types in ASKED]
    with opened(name, tmp_path, request) as index:
        searching(linker, index)
        for types, each in zip(ASKED, real, strict=True):
            check(linker, each, types, 3)
    linker.search = None


def test_shards_that_are_searched_apart(linker: ExactLinker, base: Path, tmp_path: Path) -> None:
    split(tmp_path / "parts", base, 3)
    parts = sorted(path for path in (tmp_path / "parts").iterdir() if path.is_dir())
    whole = melder.load(tmp_path / "parts")
    assert isinstance(whole, ExactLinker)
    for types in ASKED:
        check(whole, expected(linker, types, 4), types, 4)
    attach_shards(whole, Here([ShardWorker.open(part) for part in parts]))
    for types in ASKED:
        check(whole, expected(linker, types, 4), types, 4)


class Here:
    """Shards in this process."""

    def __init__(self, servers: list[ShardWorker]) -> None:
        self.servers, self.sizes = servers, [len(server) for server in servers]

    def best(self, mentions: Any, k: int, types: Types | None) -> Any:
        return [server.best(mentions, k, types) for server in self.servers]


def test_a_data_set_and_a_knowledge_base_know_the_same(linker: ExactLinker, data: Path, small_run: Path) -> None:
    encoded = melder.load(small_run, data=data)
    assert isinstance(encoded, ExactLinker)
    for source in (linker.source, encoded.source):
        for types in (*ASKED, ["red", "kite"], ["red", "kite", "red"], []):
            for every in (False, True):
                kinds = [set(entity.types) for entity in source.records(range(len(source)))]
                fits = [set(types) <= own if every else bool(set(types) & own) for own in kinds]
                if types:
                    wanted = [row for row, fit in enumerate(fits) if fit]
                    assert source.typed(types, every=every).tolist() == wanted


def test_a_type_that_no_entity_has_is_named(linker: ExactLinker) -> None:
    with pytest.raises(MelderError, match="no entity has the type 'kit'; write it as the entities' records do"):
        linker.link(TEXTS[0], types=["kite", "kit"])
    found = linker.link(TEXTS[0], types="kite")
    assert isinstance(found, Link)
    assert {each.id for each in found.candidates} == {"Q0", "Q3"}  # Q6 has no type, Q9 was removed


@pytest.mark.parametrize("search", [None, "certified", "flat"])
def test_none_of_them_gives_no_candidates(linker: ExactLinker, search: str | None) -> None:
    searching(linker, search)
    mention = load_mention()
    (links,) = linker.answers([mention], [linker.item(mention, None)], 3, Types(("red", "green"), every=True))
    assert links[0].candidates == ()


@pytest.mark.parametrize("search", [None, "certified", "flat"])
def test_each_mention_may_have_types_of_its_own(linker: ExactLinker, search: str | None) -> None:
    searching(linker, search)
    types = [Types(("kite",)), None, Types(("red", "green"), every=True), Types(("kite",)), Types(("red",))]
    mentions = [load_mention() for _ in types]
    items = [linker.item(mention, None) for mention in mentions]
    together = [link for block in linker.answers(mentions, items, 3, types) for link in block]
    for mention, item, wanted, link in zip(mentions, items, types, together, strict=True):
        ((alone,),) = linker.answers([mention], [item], 3, wanted)
        assert [candidate.id for candidate in link.candidates] == [candidate.id for candidate in alone.candidates]
        scores = [candidate.score for candidate in alone.candidates]
        assert [candidate.score for candidate in link.candidates] == pytest.approx(scores, rel=1e-5)


def load_mention() -> melder.Mention:
    return melder.Mention(id="m", text="a kite", start=0, end=6, surface="a kite")


def test_the_command_line(base: Path, linker: ExactLinker, tmp_path: Path) -> None:
    from melder.cli import app

    mentions = [{"id": str(n), "text": text, "start": 0, "end": 5, "surface": text[:5]} for n, text in enumerate(TEXTS)]
    write_lines(tmp_path / "mentions.jsonl", mentions)
    kept = ["--type", "fox", "--type", "red"]
    for candidates in ([], ["--candidates", "certified"]):
        arguments = ["--input", str(tmp_path / "mentions.jsonl"), "--output", str(tmp_path / "links.jsonl")]
        app(["link", str(base), *arguments, *kept, *candidates, "-k", "20"], standalone_mode=False)
        links = [Link.model_validate_json(line) for line in (tmp_path / "links.jsonl").read_text().splitlines()]
        of_types = {entity.id for entity in linker.entities if {"fox", "red"} & set(entity.types)}
        assert [{each.id for each in link.candidates} for link in links] == [of_types] * len(TEXTS)
    with pytest.raises(MelderError, match="no entity has the type 'dog'"):
        app(["link", str(base), "--text", "a", "--type", "dog"], standalone_mode=False)


def test_a_text_with_types(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from melder.cli import app

    app(["link", str(base), "--text", "a red kite", "--type", "panda", "--json"], standalone_mode=False)
    names = [each["name"] for each in json.loads(capsys.readouterr().out)["candidates"]]
    assert names
    assert all(name.endswith("panda") for name in names)
