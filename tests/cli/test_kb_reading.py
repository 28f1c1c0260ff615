"""`melder kb show`, `list`, `search`, `export`: what a knowledge base holds, without its model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from cli.conftest import Melder
from melder.building.build import build
from melder.data import EntityFile
from melder.kb import open_knowledge_base
from melder.records import Entity
from training.small import read_lines, write_lines


@pytest.fixture(scope="module")
def base(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    records = read_lines(small_data / "entities.jsonl")
    records[0] |= {"types": ["bird", "animal"], "aliases": ["Milan, royal", 'a "kite"', "a|b"]}
    records[1] |= {"types": ["animal"]}
    write_lines(folder / "entities.jsonl", records)
    source = EntityFile(folder / "entities.jsonl", small_data)
    build(folder / "kb", source, run=small_run, counting=lambda title, total: lambda done: None)
    return folder / "kb"


def _entities(base: Path) -> list[Entity]:
    with open_knowledge_base(base) as opened:
        return list(opened.entities)


def test_an_entity_is_shown_with_its_picture(melder: Melder, base: Path, tmp_path: Path) -> None:
    result = melder("kb", "show", base, "Q0", "--picture", tmp_path / "new" / "kite.jpg")
    assert result.status == 0
    for text in ("Q0", "Red kite", "bird, animal", "Milan, royal"):
        assert text in result.out
    with Image.open(tmp_path / "new" / "kite.jpg") as picture:
        assert min(picture.size) > 1


def test_records_are_those_that_were_given(melder: Melder, base: Path) -> None:
    result = melder("kb", "show", base, "Q1", "Q0", "--json")
    shown = [Entity.model_validate_json(line) for line in result.out.splitlines()]
    by_id = {entity.id: entity for entity in _entities(base)}
    assert shown == [by_id["Q1"], by_id["Q0"]]


@pytest.mark.parametrize("wanted", ["red kite", "Red Kite"])
def test_a_name_in_the_place_of_an_id_is_told_its_id(melder: Melder, base: Path, wanted: str) -> None:
    result = melder("kb", "show", base, wanted)
    assert result.status != 0
    assert f"no entity {wanted!r}; did you mean Q0 (Red kite)" in result.errors


def test_two_entities_have_not_one_picture(melder: Melder, base: Path, tmp_path: Path) -> None:
    result = melder("kb", "show", base, "Q0", "Q1", "--picture", tmp_path / "a.jpg")
    assert (result.status, "is one file, and 2 entities are named" in result.errors) == (2, True)


def test_lists_are_cut_and_say_so(melder: Melder, base: Path) -> None:
    result = melder("kb", "list", base, "--limit", 2, "--json")
    assert [json.loads(line)["id"] for line in result.out.splitlines()] == [each.id for each in _entities(base)[:2]]
    assert "the first 2 of 12" in result.errors
    typed = melder("kb", "list", base, "--type", "animal", "--json")
    assert [json.loads(line)["id"] for line in typed.out.splitlines()] == ["Q0", "Q1"]


@pytest.mark.parametrize("wanted", ["birds", "Bird", "plant"])
def test_a_type_that_there_is_not_is_answered_with_those_that_there_are(
    melder: Melder, base: Path, wanted: str
) -> None:
    for command in (("kb", "list", base), ("link", base, "--text", "a red kite")):
        result = melder(*command, "--type", wanted)
        assert result.status == 2
        assert f"no entity has the type {wanted!r}; there are " in result.errors
        assert {"bird", "animal"} <= set(result.errors.replace(",", " ").split())


def test_names_are_searched(melder: Melder, base: Path) -> None:
    found = melder("kb", "search", base, "roy", "--json")
    assert [json.loads(line)["id"] for line in found.out.splitlines()] == ["Q0"]
    nothing = melder("kb", "search", base, "zebra")
    assert (nothing.status, nothing.out, "has a name with 'zebra'; `melder kb list " in nothing.errors) == (0, "", True)


@pytest.mark.parametrize("words", [("royel",), ("royall", "kitten"), ("Roya1",)])
def test_a_misspelt_name_is_answered_with_another(melder: Melder, base: Path, words: tuple[str, ...]) -> None:
    said = melder("kb", "search", base, *words)
    assert (said.status, said.out) == (0, "")
    assert f"has a name with '{' '.join(words)}'; did you mean " in said.errors


def test_a_search_for_nothing_is_a_mistake(melder: Melder, base: Path) -> None:
    assert "what is searched for is empty" in melder("kb", "search", base, " ").error


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_what_is_exported_builds_the_same_knowledge_base(
    melder: Melder, base: Path, small_run: Path, tmp_path: Path, ending: str
) -> None:
    out, images = tmp_path / f"entities.{ending}", tmp_path / "pictures"
    result = melder("kb", "export", base, "--out", out, "--images", images)
    assert result.status == 0
    assert "12 entities written" in result.errors
    again = tmp_path / "again"
    assert melder("kb", "build", small_run, "--entities", out, "--images", images, "--out", again).status == 0
    fields = {"images"}
    assert [e.model_dump(exclude=fields) for e in _entities(again)] == [
        e.model_dump(exclude=fields) for e in _entities(base)
    ]
    assert [len(e.images) for e in _entities(again)] == [len(e.images) for e in _entities(base)]


def test_spreadsheets_can_read_the_table(melder: Melder, base: Path, tmp_path: Path) -> None:
    melder("kb", "export", base, "--out", tmp_path / "entities.csv")
    with (tmp_path / "entities.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (len(rows), json.loads(rows[0]["aliases"])) == (12, ["Milan, royal", 'a "kite"', "a|b"])


def test_places_that_cannot_be_written_to_are_named(melder: Melder, base: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    assert "ends in none of .jsonl, .csv" in melder("kb", "export", base, "--out", tmp_path / "a.xml").errors
    refused = melder("kb", "export", base, "--out", tmp_path / "a.csv", "--images", tmp_path / "used")
    assert (refused.status, "is in use" in refused.errors, (tmp_path / "a.csv").exists()) == (2, True, False)


def test_info_lists_the_types(melder: Melder, base: Path) -> None:
    assert "animal 2, bird 1" in melder("kb", "info", base).out
    assert json.loads(melder("kb", "info", base, "--json").out)["types"] == {"animal": 2, "bird": 1}
