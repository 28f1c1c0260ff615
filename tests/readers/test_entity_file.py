"""Files of entities: JSON Lines and CSV, read without being held, every fault named by its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from melder.data import EntityFile
from melder.io.problems import Problems
from melder.records import Entity, MelderError

FULL = Entity(
    id="Q1",
    name='The "Old" Mill, closed',
    aliases=("the mill", "Mühle"),
    description="A mill.\nIt is old.",
    types=("place",),
    images=("a.png",),
)


def read(path: Path) -> tuple[list[Entity], list[str]]:
    problems = Problems()
    return [each for _, each in EntityFile(path).entities(problems)], [str(each) for each in problems.records]


def table(directory: Path, *rows: str, encoding: str = "utf-8") -> Path:
    path = directory / "entities.csv"
    path.write_bytes("\n".join(rows).encode(encoding))
    return path


def test_csv_and_json_lines_say_the_same(tmp_path: Path) -> None:
    lines = tmp_path / "entities.jsonl"
    lines.write_text("\ufeff" + FULL.model_dump_json() + "\n\n", encoding="utf-8")
    cells = 'Q1,"The ""Old"" Mill, closed",the mill | Mühle|,"A mill.\nIt is old.",place,a.png'
    rows = ("id,name,aliases,description,types,images", cells)
    assert read(lines) == ([FULL], [])
    assert read(table(tmp_path, *rows)) == read(table(tmp_path, *rows, encoding="utf-8-sig")) == ([FULL], [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_come_in_any_order_and_with_any_delimiter(tmp_path: Path, delimiter: str) -> None:
    path = table(tmp_path, delimiter.join([" name", "id "]), delimiter.join(["Guinea", "GN"]), "")
    assert read(path) == ([Entity(id="GN", name="Guinea")], [])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",no id,", "row 3, field 'id': is empty; give it a value"),
        ("A,again,", "row 3, field 'id': 'A' is also the id of row 2"),
        ("B,,", "row 3, field 'name': is empty and so is the description"),
        ("B,b,c,d", "row 3: has more cells than the header"),
        ("B,b", "row 3: has fewer cells than the header"),
        ("B,b,../secret.png", "row 3, field 'images': '../secret.png' leaves"),
        ("B,b,/etc/passwd", "leaves the data set's directory"),
        ('B,"b,', "row 3: has a quote that is never closed"),
    ],
)
def test_a_bad_row_is_named_as_a_spreadsheet_counts(tmp_path: Path, row: str, words: str) -> None:
    good, faults = read(table(tmp_path, "id,name,images", "A,a,", row))
    assert [each.id for each in good] == ["A"]
    assert len(faults) == 1
    assert words in faults[0]


def test_blank_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    good, faults = read(table(tmp_path, "id,name", "A,a", "", "B,b", "", "B,again"))
    assert [each.id for each in good] == ["A", "B"]
    assert "row 6, field 'id': 'B' is also the id of row 4" in faults[0]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("name,description", "row 1: has no column 'id'; name the columns id, name, aliases"),
        (
            "id,label",
            "row 1: has neither a column 'name' nor 'description'.*--column name=HEADER .the headers are id, label",
        ),
        ("id,name,name", "row 1: names a column twice"),
        ("", "has no column 'id'"),
    ],
)
def test_a_header_must_name_the_columns(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(MelderError, match=words):
        read(table(tmp_path, header, "1,2"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_a_table_without_a_byte_is_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(MelderError, match="is empty; write at least one entity"):
        EntityFile(tmp_path / "a.csv").check()


def test_a_header_with_an_open_quote_is_named(tmp_path: Path) -> None:
    _, faults = read(table(tmp_path, '"id,name', "A,a"))
    assert "row 1: has a quote that is never closed" in faults[0]


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    _, faults = read(table(tmp_path, "id,name", "A,Минск", encoding="cp1251"))
    assert "row 2: is not UTF-8, and nothing from here on is read; save the file as CSV UTF-8" in faults[0]


def test_a_long_text_is_no_mistake(tmp_path: Path) -> None:
    good, faults = read(table(tmp_path, "id,description", "A," + "x" * 500_000))
    assert (len(good[0].description), faults) == (500_000, [])


def test_pictures_that_are_not_there_are_told_when_it_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    path = table(tmp_path, "id,name,images", "A,a,a.png|b.png|c.png", "B,b,")
    count, problems = EntityFile(path).check()
    assert count == 2
    assert "row 2, field 'images': there is no file" in str(problems.records[0])
    assert "b.png" in str(problems.records[0])
    assert "c.png" in str(problems.records[0])
    assert not EntityFile(path).check(images=False)[1].records
    with pytest.raises(MelderError, match=r"\.\./x.*leaves"):
        EntityFile(path).entity_image("../x")


@pytest.mark.parametrize("name", ["none.csv", "folder.csv", "data.ods", "data.txt"])
def test_what_is_no_such_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "data.ods").write_bytes(b"PK")
    (tmp_path / "data.txt").write_bytes(b"id")
    with pytest.raises(MelderError, match=name):
        EntityFile(tmp_path / name)


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl"])
def test_an_empty_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("id,name\n" if name == "e.csv" else "\n")
    with pytest.raises(MelderError, match="is empty; write at least one entity"):
        EntityFile(tmp_path / name).check()


def test_the_directory_of_pictures_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match="is no directory"):
        EntityFile(table(tmp_path, "id"), tmp_path / "nowhere")
