"""Entities that a database gives are those of a file with the same rows."""

from __future__ import annotations

import json
import pickle
import sqlite3
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from melder.cli import app
from melder.data.entity_query import EntityQuery
from melder.data.tables.options import TableOptions
from melder.data.tables.query import _rows_of
from melder.io.problems import Problems
from melder.kb import KnowledgeBase
from melder.records import BadData, Entity, MelderError
from training.small import read_lines

SECRET = "hunter2"


@pytest.fixture(scope="module")
def database(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The creatures in SQLite; aliases are a list in JSON, images are divided by |."""
    file = tmp_path_factory.mktemp("database") / "creatures.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE creature (key TEXT, name TEXT, description TEXT, aliases TEXT, images TEXT)")
        for record in read_lines(small_data / "entities.jsonl"):
            lists = json.dumps(record.get("aliases", [])), "|".join(record.get("images", []))
            values = record["id"], record["name"], record.get("description", ""), *lists
            connection.execute("INSERT INTO creature VALUES (?, ?, ?, ?, ?)", values)
    connection.close()
    return f"sqlite:///{file}"


def entities(query: EntityQuery) -> list[Entity]:
    return [entity for _, entity in query.entities(Problems())]


def test_the_knowledge_base_is_that_of_a_file(
    database: str, small_data: Path, small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--images", str(small_data), "--out"]
    app(
        ["kb", "build", str(small_run), "--entities", str(small_data / "entities.jsonl"), *common, str(tmp_path / "a")],
        standalone_mode=False,
    )
    select = ["--from-sql", database, "--query", "SELECT * FROM creature WHERE name LIKE '%' AND ':x' <> name"]
    app(
        ["kb", "build", str(small_run), *select, "--column", "id=key", *common, str(tmp_path / "b")],
        standalone_mode=False,
    )
    with KnowledgeBase.open(tmp_path / "a") as file, KnowledgeBase.open(tmp_path / "b") as query:
        assert len(query) > 0
        assert [listed.digest for listed in query.generation.segments] == [
            listed.digest for listed in file.generation.segments
        ]
    assert "note: the column 'key'" not in capsys.readouterr().err


def test_values_of_every_kind_become_texts(postgres: str) -> None:
    query = EntityQuery(
        _url(postgres),
        "SELECT 7::bigint AS id, 'Kite %s :name' AS name, ARRAY['a', NULL, 'b|c'] AS aliases, "
        "ARRAY[1, 2] AS types, DATE '2020-02-29' AS description UNION ALL "
        "SELECT 8, 'h', NULL, NULL, NULL WHERE 1 = 1 UNION ALL SELECT 12.50::numeric, 'b', NULL, ARRAY[1], NULL",
    )
    first, second, third = entities(query)
    assert (first.id, first.name, first.aliases, first.types) == ("7", "Kite %s :name", ("a", "b|c"), ("1", "2"))
    assert first.description == "2020-02-29"
    assert (second.id, second.name, second.aliases) == ("8", "h", ())
    assert third.id == "12.50"


def test_a_query_runs_once_and_in_blocks(postgres: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE asked")
        connection.execute("CREATE FUNCTION ask() RETURNS bigint AS 'SELECT nextval(''asked'')' LANGUAGE sql VOLATILE")
        # A read-only transaction may call no nextval: what would write is refused by the server.
        with pytest.raises(MelderError, match=r"the query failed \(.*read-only transaction"):
            entities(EntityQuery(_url(postgres), "SELECT ask() AS id, 'a' AS name"))
        query = EntityQuery(
            _url(postgres), "SELECT n AS id, clock_timestamp()::text AS name FROM generate_series(1, 2500) n"
        )
        first = entities(query)
        assert [entity.id for entity in first] == [str(number) for number in range(1, 2501)]
        assert entities(query) == first  # else the times would be others
        rest = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%n'")
        assert rest.fetchone() == (0,)  # nobody is connected while entities are encoded


def test_what_is_no_text_is_named_by_row_and_column(postgres: str, small_run: Path, tmp_path: Path) -> None:
    select = (
        "SELECT 'a' AS id, 'A' AS name, NULL::bytea AS description UNION ALL SELECT 'b', 'B', '\\x00ff' "
        "UNION ALL SELECT NULL, 'C', NULL UNION ALL SELECT 'a', 'D', NULL"
    )
    query = EntityQuery(_url(postgres), select)
    with pytest.raises(BadData) as error:
        raise query.check()[1].error()
    lines = str(error.value).splitlines()
    assert [record.number for record in error.value.records] == [2, 3, 4]
    assert "record 2, field 'description': is of the type bytes, and no text or list of texts; cast it" in lines[0]
    assert "record 3, field 'id': is empty" in lines[1]
    assert "record 4, field 'id'" in lines[2]
    assert not any(SECRET in line for line in lines)
    command = ["kb", "build", str(small_run), "--from-sql", _url(postgres), "--query", select, "--skip-bad"]
    app([*command, "--out", str(tmp_path / "kb")], standalone_mode=False)
    with KnowledgeBase.open(tmp_path / "kb") as base:
        assert [entity.id for entity in base.entities] == ["a"]
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("url", "query", "message"),
    [
        ("sqlite:///nowhere.db", "SELECT 1", "sqlite:///nowhere.db: there is no such file"),
        (f"nosuch://u:{SECRET}@h/db", "SELECT 1", r"nosuch://u:\*\*\*@h/db: is no URL of a database"),
        ("not a url", "SELECT 1", "not a url: is no URL of a database"),
        (
            f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/db",
            "SELECT 1",
            r"u:\*\*\*@127.0.0.1:1/db: the query failed \(.*",
        ),
        (
            f"postgresql+psycopg://127.0.0.1:1/db?password={SECRET}",
            "SELECT 1",
            r"password=\*\*\*: the query failed \(.*",
        ),
        ("DATABASE", "SELECT absent FROM creature", r"the query failed \(no such column: absent\); correct --query"),
        ("DATABASE", "DROP TABLE IF EXISTS absent", "--query: gives no rows; write a SELECT"),
        ("DATABASE", "SELECT name FROM creature", "has no column 'id'; .*--column id=HEADER"),
        ("DATABASE", "SELECT key AS id, key AS id FROM creature", "names a column twice, 'id'"),
        ("DATABASE", "SELECT key AS id FROM creature", "has neither a column 'name' nor 'description'"),
        ("DATABASE", "SELECT key AS id, name FROM creature WHERE 1 = 0", "is empty; write at least one entity"),
    ],
)
def test_what_cannot_be_asked_is_one_line_without_the_password(
    url: str, query: str, message: str, database: str
) -> None:
    source = EntityQuery(database if url == "DATABASE" else url, query)
    with pytest.raises(MelderError, match=message) as error:
        source.check()
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE shop",
        "CREATE TABLE other (id TEXT)",
        "ALTER TABLE shop ADD COLUMN price REAL",
        "DELETE FROM shop",
        "INSERT INTO shop VALUES ('B', 'Bolt') RETURNING id, name",
    ],
)
def test_no_query_changes_a_file_of_sqlite(statement: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE shop (id TEXT, name TEXT)")
        connection.execute("INSERT INTO shop VALUES ('A', 'Anvil')")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(MelderError, match=r"the query failed .*readonly database.*; correct --query"):
        EntityQuery(f"sqlite:///{file}", statement).check()
    assert file.read_bytes() == before


@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_a_session_of_mysql_only_reads_before_the_query_comes(dialect: str) -> None:
    sent = MagicMock()
    engine = MagicMock(**{"dialect.name": dialect, "connect.return_value.__enter__.return_value": sent})
    sent.execution_options.return_value = sent
    sent.exec_driver_sql.return_value.returns_rows = False
    with pytest.raises(MelderError, match="gives no rows"):
        list(_rows_of(engine, "DROP TABLE shop"))
    statements = [call.args[0] for call in sent.exec_driver_sql.call_args_list]
    assert statements == ["SET SESSION TRANSACTION READ ONLY", "DROP TABLE shop"]


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(MelderError, match=r"mysql\+pymysql://u:\*\*\*@h/db: needs its driver pymysql"):
        entities(EntityQuery(f"mysql+pymysql://u:{SECRET}@h/db", "SELECT 1"))


def test_other_processes_get_no_password(database: str) -> None:
    assert SECRET.encode() not in pickle.dumps(EntityQuery(f"postgresql://u:{SECRET}@h/db", "SELECT 1"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from-sql", "sqlite:///a.db"], "--from-sql and --query go together"),
        (["--query", "SELECT 1"], "--from-sql and --query go together"),
        ([], "name either a file with --entities, or a database"),
        (["--entities", "a.csv", "--from-sql", "sqlite:///a.db", "--query", "SELECT 1"], "name either a file"),
        (["--from-sql", "sqlite:///a.db", "--query", "SELECT 1", "--encoding", "latin1"], "--encoding: is of CSV"),
        (["--from-sql", "sqlite:///a.db", "--query", "SELECT 1", "--images", "nowhere"], "nowhere: is no directory"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], message: str, small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=message):
        app(["kb", "build", str(small_run), *options, "--out", str(tmp_path / "kb")], standalone_mode=False)


def test_rows_of_one_entity_are_made_one(database: str) -> None:
    select = "SELECT key AS id, name FROM creature UNION ALL SELECT key, 'other' FROM creature"
    query = EntityQuery(database, select, options=TableOptions(merge_rows=True))
    assert all("other" in entity.aliases for entity in entities(query))


def _url(dsn: str) -> str:
    """The URL of the server, with a password, which it does not ask for."""
    folder = dsn.partition("host=")[2].partition(" ")[0]
    return f"postgresql+psycopg://postgres:{SECRET}@/postgres?host={folder}"
