"""What every index promises. A backend without a case fails the last test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from melder.features import Side
from melder.protocols import BatchIndex, Index
from melder.records import MelderError
from melder.search.filters import EntityFilter, Types
from melder.search.hybrid import HybridIndex
from melder.search.indexes import INDEXES, build_index, flat, pgvector
from melder.search.indexes.flat import FlatIndex
from melder.search.indexes.lifted import MipsToCosine
from melder.search.indexes.milvus import MilvusIndex
from melder.search.indexes.pgvector import PgvectorIndex
from melder.search.indexes.qdrant import QdrantDatabase, QdrantIndex
from melder.search.resolver import build_search

WIDTH, COUNT = 24, 3000


@dataclass(frozen=True)
class Case:
    """found: the share of the true best ten that it finds, at least; removes: whether vectors can be taken out"""

    name: str
    found: float
    removes: bool = True
    package: str | None = None


CASES = [
    Case("flat", 0.999),
    Case("hnsw", 0.95, package="usearch"),
    Case("faiss", 0.85, removes=False, package="faiss"),
    Case("faiss:Flat", 1.0, removes=False, package="faiss"),
    Case("faiss:IVF16,Flat", 0.1, removes=False, package="faiss"),
    Case("milvus:FILE", 0.999, package="milvus_lite"),
    Case("qdrant:memory", 0.999, package="qdrant_client"),
    Case("pgvector", 0.999, package="psycopg"),
]


def near_real(count: int, seed: int) -> Tensor:
    """Vectors in clusters, of few effective dimensions and of very unequal lengths, as encoders give them."""
    draw = torch.Generator().manual_seed(seed)
    shape = torch.Generator().manual_seed(0)
    centres = torch.randn(40, WIDTH, generator=shape) * torch.linspace(1, 0.05, WIDTH)
    chosen = torch.randint(40, (count,), generator=draw)
    vectors = centres[chosen] + 0.4 * torch.randn(count, WIDTH, generator=draw) * torch.linspace(1, 0.05, WIDTH)
    return vectors * torch.empty(count, 1).log_normal_(0, 0.4, generator=draw) + 0.5


VECTORS, MORE, QUERIES = near_real(COUNT, 1), near_real(200, 2), near_real(50, 3)


def best(vectors: Tensor, k: int, without: list[int] | None = None) -> np.ndarray:
    products = QUERIES.double() @ vectors.double().t()
    products[:, without or []] = float("-inf")
    return products.topk(k, dim=1).indices.numpy()


def found_by(index: Index, k: int = 10) -> list[np.ndarray]:
    return [index.search(query, k).rows for query in QUERIES]


def share(found: Sequence[np.ndarray], real: np.ndarray) -> float:
    return float(np.mean([len(set(f) & set(r)) / len(r) for f, r in zip(found, real, strict=True)]))


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """The URI of an embedded one, which stops at the end."""
    from milvus_lite.server_manager import server_manager_instance

    uri = str(folder / "vectors.db")
    try:
        yield uri
    finally:
        server_manager_instance.release_server(uri)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database for all tests: starting one takes longer than any of them, and vectors that it has are not sent."""
    pytest.importorskip("milvus_lite")
    with database(tmp_path_factory.mktemp("database")) as address:
        yield address


DATABASES = ("milvus", "qdrant", "pgvector")  # which compute by themselves, whatever PyTorch's kernels are


@pytest.fixture(
    params=[
        pytest.param(case, id=case.name, marks=[pytest.mark.any_processor] if case.name.startswith(DATABASES) else [])
        for case in CASES
    ]
)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    chosen: Case = request.param
    if chosen.package:
        pytest.importorskip(chosen.package)
    if chosen.name.startswith("milvus"):
        return replace(chosen, name=f"milvus:{request.getfixturevalue('uri')}")
    if chosen.name == "qdrant:memory":
        request.getfixturevalue("memory")
    if chosen.name == "pgvector":
        monkeypatch.setenv(pgvector.DSN, request.getfixturevalue("postgres"))
    return chosen


@pytest.fixture(scope="session")
def memory() -> QdrantDatabase:
    """Qdrant in this process, in which collections stay from test to test, as they do in a service."""
    pytest.importorskip("qdrant_client")
    return QdrantDatabase.at("memory")


@pytest.fixture
def index(case: Case) -> Index:
    return build_index(case.name, VECTORS)


def test_the_vectors_are_no_easy_ones() -> None:
    lengths = VECTORS.norm(dim=1)
    assert lengths.quantile(0.95) > 2.5 * lengths.quantile(0.05)
    cosines = torch.nn.functional.normalize(QUERIES, dim=1) @ torch.nn.functional.normalize(VECTORS, dim=1).t()
    assert share(cosines.topk(10, dim=1).indices.numpy(), best(VECTORS, 10)) < 0.5


def test_it_finds_the_largest_inner_products_whatever_the_lengths(case: Case, index: Index) -> None:
    found = found_by(index)
    assert share(found, best(VECTORS, 10)) >= case.found
    largest = float((QUERIES @ VECTORS.t()).abs().max())
    for rows, query in zip(found, QUERIES, strict=True):
        assert rows.dtype == np.int64
        assert len(set(rows)) == len(rows)
        assert len(rows) == 10 or "IVF" in case.name
        assert (np.diff((VECTORS[torch.from_numpy(rows)] @ query).numpy()) <= 2e-2 * largest).all()


def test_one_that_was_saved_finds_the_same(case: Case, index: Index, tmp_path: Path) -> None:
    index.save(tmp_path / "index")
    again = INDEXES.resolve(case.name)[0].open(tmp_path / "index")
    assert all(map(np.array_equal, found_by(again), found_by(index)))
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    with pytest.raises(MelderError, match="is there already"):
        index.save(tmp_path / "index")


def test_vectors_that_are_added_are_found(case: Case, index: Index) -> None:
    fitting = MORE * VECTORS.norm(dim=1).max() / MORE.norm(dim=1).max()
    index.add(fitting)
    assert share(found_by(index), best(torch.cat([VECTORS, fitting]), 10)) >= case.found - 0.05


def test_vectors_that_are_removed_are_not_found(case: Case, index: Index) -> None:
    gone = best(VECTORS, 3).ravel()
    if not case.removes:
        with pytest.raises(MelderError, match="build it again"):
            index.remove(gone)
        return
    index.remove(gone)
    found = found_by(index)
    assert not set(np.concatenate(found)) & set(gone)
    assert share(found, best(VECTORS, 10, gone.tolist())) >= case.found - 0.05


def test_the_products_it_tells_are_those_of_the_vectors(index: Index) -> None:
    nearest, products = index.search(QUERIES[0], 20)
    if not index.tells_products:
        assert products is None
        return
    rows = np.array([5, 0, COUNT - 1, 5])
    real = VECTORS[torch.from_numpy(rows)] @ QUERIES[0]
    assert np.allclose(index.products(QUERIES[0], rows), real.numpy(), atol=1e-2 * float(real.abs().max()))
    assert index.products(QUERIES[0], rows[:0]).shape == (0,)
    assert products is not None
    assert np.allclose(products, index.products(QUERIES[0], nearest), atol=2e-3 * float(real.abs().max()))


def test_many_queries_find_what_each_finds(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    if not getattr(index, "searches_many", False):
        return
    index.remove(best(VECTORS, 1).flatten())
    monkeypatch.setattr(flat, "VECTORS", 700)
    monkeypatch.setattr(flat, "QUERIES", 16)
    for k in (1, 10, 2 * COUNT):
        for query, hits in zip(QUERIES, cast(BatchIndex, index).search_many(QUERIES, k), strict=True):
            alone = index.search(query, k)
            assert len(hits.rows) == len(alone.rows)
            assert np.allclose(hits.products, alone.products, atol=1e-4)
            assert np.mean(hits.rows == alone.rows) > 0.99  # but for equal ones, to rounding


def test_of_equal_products_the_lower_row_comes_first(case: Case) -> None:
    """Four vectors that are equal, 75 times. Their products with the query are one number times one: exact."""
    size = 1 + torch.arange(COUNT // 10) * 7 % 75
    vectors = torch.cat([size[:, None].float(), torch.ones(len(size), WIDTH - 1)], dim=1)
    query = torch.eye(WIDTH)[0]
    found = build_index(case.name, vectors).search(query, 20).rows.tolist()
    order = sorted(range(len(size)), key=lambda row: (-int(size[row]), row))
    assert found == [row for row in order if row in found]
    if case.found >= 0.999:
        assert found == order[:20]


def test_fewer_vectors_than_asked_for(case: Case) -> None:
    if "IVF" in case.name:
        with pytest.raises(MelderError, match="IVF16"):
            build_index(case.name, VECTORS[:3])
        return
    found = found_by(build_index(case.name, VECTORS[:3]), 5)
    assert all(sorted(rows) == [0, 1, 2] for rows in found)


LONG = "ü" * 300  # more bytes than Milvus keeps of a type
KINDS = [("town", "port") if row % 7 == 0 else ("river",) if row % 3 else () for row in range(COUNT)]
KINDS[5] = (LONG,)


class TypeCounts:
    """A source of which nothing but the types is known."""

    def typed(self, types: Sequence[str], *, every: bool = False) -> np.ndarray:
        fits = [set(types) <= set(own) if every else bool(set(types) & set(own)) for own in KINDS]
        return np.flatnonzero(fits)


WANTED = [
    Types(("port",)),
    Types(("river", "port")),
    Types(("town", "port"), every=True),
    Types(("river", "port"), every=True),
    Types(('"quoted" \\',)),
    Types((LONG,)),
]


def test_among_some_types_it_finds_what_there_is_of_those(case: Case) -> None:
    every, some = HybridIndex(build_index(case.name, VECTORS, types=KINDS), None), slice(0, 3)
    for among in (EntityFilter(types, TypeCounts()) for types in WANTED):  # type: ignore[arg-type]
        part = every.only(among, COUNT)
        found = [
            part.candidates(query[None], Side({"row": torch.zeros(1)}), 64, 0, [0.0])[0].rows for query in QUERIES[some]
        ]
        assert all(set(row) <= set(among.rows) for row in found)
        if len(among.rows):
            real = among.rows[best(VECTORS[among.rows], min(10, len(among.rows)))[some]]
            shares = [len(set(f) & set(r)) / len(r) for f, r in zip(found, real, strict=True)]
            assert np.mean(shares) >= case.found - 0.05


def test_a_database_filters_by_types_itself(uri: str) -> None:
    index = MilvusIndex.build(VECTORS, uri, KINDS)
    assert set(np.concatenate(found_by(index.only(Types(("port",)))))) <= set(range(0, COUNT, 7))
    assert share(found_by(index), best(VECTORS, 10)) >= 0.999


def test_a_database_that_fails_on_the_way_is_named(uri: str) -> None:
    index = MilvusIndex.build(VECTORS[:50], uri)
    index.client.drop_collection(index.collection)
    with pytest.raises(MelderError, match=r"vectors\.db: failed \(.*\); see to the database"):
        index.search(QUERIES[0], 3)


def test_a_database_that_has_the_vectors_is_sent_none(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = MilvusIndex.build(VECTORS, uri)
    monkeypatch.setattr(MilvusIndex, "add", None)
    assert all(map(np.array_equal, found_by(MilvusIndex.build(VECTORS, uri)), found_by(first)))
    monkeypatch.undo()
    first.remove(np.arange(5))  # as a process that was killed while it wrote leaves them
    assert share(found_by(MilvusIndex.build(VECTORS, uri)), best(VECTORS, 10)) >= 0.999
    other = MilvusIndex.build(MORE, uri)
    assert share(found_by(other), best(MORE, 10)) >= 0.999


def test_a_database_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    with pytest.raises(MelderError, match="milvus: needs to know where"):
        build_index("milvus", VECTORS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(MelderError, match="cannot be opened"):
        build_index(f"milvus:{tmp_path / 'file' / 'vectors.db'}", VECTORS)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "name",
    [
        f"milvus:http://reader:{SECRET}@127.0.0.1:1",
        f"qdrant:http://reader:{SECRET}@127.0.0.1:1",
        f"qdrant:https://127.0.0.1:1?api_key={SECRET}",
        f"pgvector:postgresql://reader:{SECRET}@127.0.0.1:1/db",
        f"pgvector:host=127.0.0.1 password={SECRET}",
        f"pgvectr:postgresql://reader:{SECRET}@127.0.0.1:1/db",
    ],
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(MelderError) as error:
        build_search(name, cast(Any, None), cast(Any, None)) if "pgvectr" in name else build_index(name, VECTORS[:3])
    assert SECRET not in str(error.value)


def test_a_qdrant_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("qdrant_client")
    with pytest.raises(MelderError, match="qdrant: needs to know where"):
        build_index("qdrant", VECTORS)
    with pytest.raises(MelderError, match="qdrant:vectors: is no address; write qdrant:http"):
        build_index("qdrant:vectors", VECTORS)
    with pytest.raises(MelderError, match=r"qdrant:http://127\.0\.0\.1:1: failed \(.*refused.*\); see to the database"):
        build_index("qdrant:http://127.0.0.1:1", VECTORS)


def test_qdrant_filters_by_types_itself(memory: QdrantDatabase) -> None:
    index = QdrantIndex.build(MORE, "memory", KINDS[: len(MORE)])
    assert set(index.only(Types(("port",))).search(QUERIES[0], 50).rows) == set(range(0, len(MORE), 7))
    assert index.only(Types(("port", "river"), every=True)).search(QUERIES[0], 50).rows.tolist() == []
    index.remove(np.arange(5))  # as a process that was killed while it wrote leaves them
    assert share(found_by(QdrantIndex.build(MORE, "memory", KINDS[: len(MORE)])), best(MORE, 10)) >= 0.999


@pytest.fixture
def dsn(postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(pgvector.DSN, postgres)
    return postgres


def test_postgres_filters_by_types_itself(dsn: str) -> None:
    kinds = [*KINDS[:10], ("a\0b",), ("'; DROP TABLE x; --", '"} {'), *KINDS[12 : len(MORE)]]
    index = PgvectorIndex.build(MORE, "", kinds)
    ports = {row for row, types in enumerate(kinds) if "port" in types}
    assert set(index.only(Types(("port",))).search(QUERIES[0], 50).rows) == ports
    assert index.only(Types(("port", "river"), every=True)).search(QUERIES[0], 50).rows.tolist() == []
    assert index.only(Types(('"} {', "'; DROP TABLE x; --"), every=True)).search(QUERIES[0], 5).rows.tolist() == [11]
    assert len(index.only(Types(("a\0b",))).search(QUERIES[0], 50).rows) == 50  # it cannot tell


def test_a_graph_in_postgres_finds_nearly_all(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgvector, "GRAPH_FROM", 100)
    vectors = VECTORS[:1000]
    index = PgvectorIndex.build(vectors)
    with index.database.transaction() as connection:
        statement, values = index._nearest(pgvector._text(index.lift.query(QUERIES[0])), 10, by_graph=True)
        from psycopg.sql import SQL

        plan = str(connection.execute(SQL("EXPLAIN ") + statement, values).fetchall())
    assert "Index Scan using" in plan
    assert share(found_by(index), best(vectors, 10)) >= 0.95
    assert len(index.search(QUERIES[0], 800).rows) == 800  # more than a graph would give


def test_half_precision_is_for_versions_that_have_it() -> None:
    versions = {"0.6.2": "vector", "0.7.0": "halfvec", "0.8.1": "halfvec", "0.10.0": "halfvec", "1.0": "halfvec"}
    assert {version: pgvector.kind_of(version) for version in versions} == versions


def test_what_is_saved_of_postgres_says_nothing_of_where_it_is(dsn: str, tmp_path: Path) -> None:
    index = PgvectorIndex.build(MORE)
    index.save(tmp_path / "index")
    saved = json.loads((tmp_path / "index" / pgvector.DESCRIPTION).read_text())
    assert set(saved) == {"table", "kind", "rows", "radius", "width"}
    saved["table"] = "pg_user"
    (tmp_path / "index" / pgvector.DESCRIPTION).write_text(json.dumps(saved))
    with pytest.raises(MelderError, match="names no table of such an index"):
        PgvectorIndex.open(tmp_path / "index")


def test_a_postgres_that_went_away_is_asked_again(dsn: str) -> None:
    index = PgvectorIndex.build(MORE)
    before = index.search(QUERIES[0], 5).rows
    other = PgvectorIndex.build(MORE)
    with other.database.transaction() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [index.database._connection.info.backend_pid])
    with pytest.raises(MelderError, match=r"pgvector: the database failed \(.*\); see to it"):
        index.search(QUERIES[0], 5)
    assert np.array_equal(index.search(QUERIES[0], 5).rows, before)
    with other.database.transaction() as connection:
        connection.execute(index._sql("DROP TABLE {table}"))
    with pytest.raises(MelderError, match="does not exist"):
        index.search(QUERIES[0], 5)


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (f"host=/nowhere user=reader password={SECRET}", "No such file"),
        (f"postgresql://reader:{SECRET}@127.0.0.1:1/secrets", "refused"),
        (f"postgresql:/reader:{SECRET}@127.0.0.1", "connection string is none"),
        (f"hots=127.0.0.1 password={SECRET}", "connection string is none"),
    ],
)
def test_a_postgres_that_cannot_be_reached(named: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv(pgvector.DSN, named)
    with pytest.raises(
        MelderError, match=f"pgvector: the database cannot be reached .*{reason}.*; check {pgvector.DSN}"
    ) as e:
        build_index("pgvector", VECTORS)
    assert not any(part in str(e.value) for part in (SECRET, "reader", "nowhere", "127.0.0.1", "secrets"))


def test_why_postgres_cannot_be_reached_is_said_without_names() -> None:
    psycopg = pytest.importorskip("psycopg")
    reasons = {
        "failed to resolve host 'db.example': [Errno -2] Name or service not known": "Name or service not known",
        'connection failed: connection to server at "10.0.0.5", port 5432 failed: FATAL:  password authentication '
        'failed for user "reader"': "password authentication failed for user ***",
        'connection to server on socket "/x/.s.PGSQL.5432" failed: FATAL:  database "secrets" does not exist': (
            "database *** does not exist"
        ),
    }
    for message, reason in reasons.items():
        told = pgvector._reason(psycopg.OperationalError(message))
        assert reason in told
        assert not any(part in told for part in ("db.example", "10.0.0.5", "reader", "secrets", "/x"))


def test_what_is_no_index_is_named(case: Case, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match="nothing: is no index of this kind"):
        INDEXES.resolve(case.name)[0].open(tmp_path / "nothing")


def test_an_unknown_name_lists_those_that_there_are() -> None:
    with pytest.raises(
        MelderError, match="there is no index 'tree'; there are flat, hnsw, faiss, milvus, qdrant, pgvector"
    ):
        build_index("tree", VECTORS)
    pytest.importorskip("faiss")
    with pytest.raises(MelderError, match="faiss:Nonsense: FAISS refuses"):
        build_index("faiss:Nonsense", VECTORS)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
@pytest.mark.parametrize("width", [3, 400])
def test_upper_bounds_are_never_below_the_inner_product_and_near_it(kind: torch.dtype, width: int) -> None:
    draw = torch.Generator().manual_seed(width)
    vectors = torch.randn(500, width, generator=draw) * torch.empty(500, 1).log_normal_(0, 3, generator=draw)
    index = FlatIndex.build(vectors, kind=kind)
    for scale in (1e-4, 1.0, 1e6):
        query = scale * torch.randn(width, generator=draw)
        real = vectors.double() @ query.double()
        above = index.upper_bounds(query).double() - real
        room = vectors.double().norm(dim=1) * query.double().norm()
        assert (above >= 0).all()
        assert (above <= (5e-3 if kind == torch.float16 else 2e-4) * room + 5e-6 * room.max()).all()


def test_no_vector_may_be_longer_than_the_lift() -> None:
    lift = MipsToCosine.of(VECTORS)
    assert np.allclose(np.linalg.norm(lift.vectors(VECTORS), axis=1), 1, atol=1e-6)
    with pytest.raises(MelderError, match="build the index again"):
        lift.vectors(2 * VECTORS)


def test_every_backend_has_a_case() -> None:
    assert {case.name.partition(":")[0] for case in CASES} == set(INDEXES.names())


@pytest.mark.parametrize(("factory", "looked_at"), [("IVF16,Flat", 4), ("IVF30,SQ8", 5), ("RR32,IVF9,PQ8", 3)])
def test_inverted_lists_are_looked_at_as_many_as_the_root_of_their_number(
    factory: str, looked_at: int, tmp_path: Path
) -> None:
    faiss = pytest.importorskip("faiss")
    index = build_index(f"faiss:{factory}", VECTORS)
    index.save(tmp_path / "index")
    opened = INDEXES.resolve(f"faiss:{factory}")[0].open(tmp_path / "index")
    assert faiss.extract_index_ivf(opened.index).nprobe == looked_at
    for query in VECTORS[:20]:
        assert opened.search(query, 10).rows.tolist() == index.search(query, 10).rows.tolist()
