"""Tables from other people's programs: titles above the header, several sheets, formats that hide what a cell is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest
from tests.readers.test_tables import read, written

from melder.data import EntityFile
from melder.data.tables.options import Notes, TableOptions, parse_columns
from melder.io.problems import Problems
from melder.jobs.mention_reader import mentions_of
from melder.records import Entity, MelderError

GUINEA = Entity(id="GN", name="Guinea")


def _workbook(directory: Path, fill: Callable[[Any, Any], object]) -> Path:
    """An .xlsx file that a function fills: it is given the book and its first sheet."""
    book = openpyxl.Workbook()
    fill(book, book.active)
    book.save(directory / "e.xlsx")
    return directory / "e.xlsx"


def _rows(sheet: Any, *rows: tuple[Any, ...]) -> None:
    for row in rows:
        sheet.append(row)


@pytest.mark.parametrize(
    ("content", "above"),
    [
        ("Our list, as of 2024\n,\n\nid,name\nGN,Guinea\n", 1),
        ("# exported by hand\n# on Monday\nid,name\nGN,Guinea\n", 2),
        ("Report, 2024\nid;name\nGN;Guinea\n", 1),
        ("Id and name\nid\tname\nGN\tGuinea\n", 1),
        ('"sep=;"\nid;name\nGN;Guinea\n', 0),
        ("id|name\nGN|Guinea\n", 0),
        ('id, name, aliases\nGN, "Guinea", ""\n', 0),
        ('id,name\n="GN",Guinea\n', 0),
        ("id,name\nGN,Guinea\nid,name\n", 0),
        ("id,name\nGN,Guinea\n\ufeffid,name\n", 0),
        ("id,name,description,images\nGN,Guinea,NULL,\\N\n", 0),
        ("id,name,description\nGN,Guinea,#NV\n", 0),
        ("id,name\nGN,Guinea\n".encode("utf-16-be"), 0),
    ],
)
def test_what_stands_around_a_table_does_no_harm(tmp_path: Path, content: str | bytes, above: int) -> None:
    entities, faults, notes = read(written(tmp_path, content))
    assert (entities, faults) == ([GUINEA], [])
    assert any("above the header" in note for note in notes) == bool(above)


def test_the_fullest_row_is_asked_about_where_none_is_a_header(tmp_path: Path) -> None:
    content = "Our list, as of 2024\n\nNr,Bezeichnung,Foto\n1,Guinea,gn.png\n"
    with pytest.raises(MelderError, match=r"row 3: has no column 'id'.* is Bezeichnung the name"):
        read(written(tmp_path, content))


def test_a_list_without_ids_has_its_names_as_such(tmp_path: Path) -> None:
    path = written(tmp_path, "Label,Remark\nGuinea,A country\n")
    with pytest.raises(MelderError, match="--column id=HEADER --column name=HEADER"):
        read(path)
    columns = parse_columns(["id=Label", "name=Label", "description=Remark"])
    entities, faults, _ = read(path, columns=columns)
    assert (entities, faults) == ([Entity(id="Guinea", name="Guinea", description="A country")], [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04\0\0", "is a workbook or another ZIP file; give it the ending of what is in it"),
        ("<table><tr><td>id</td></tr></table>", "is HTML or XML"),
        ('[{"id": "GN"}]', "is JSON; give it the ending"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old workbook of Excel"),
        (b"\x1f\x8b\x08", "is packed by gzip; unpack it"),
    ],
)
def test_a_file_with_the_name_of_a_table_only_is_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(MelderError, match=words):
        read(written(tmp_path, content))


def test_null_stays_where_it_may_be_a_name_and_is_counted(tmp_path: Path) -> None:
    entities, _, notes = read(written(tmp_path, "id,name,aliases\nNA,Namibia,\n1,Null,None\n"))
    assert entities == [Entity(id="NA", name="Namibia"), Entity(id="1", name="Null", aliases=("None",))]
    assert "2 names are NULL, nan or the like: empty the cells where that is no name" in notes


def test_ids_that_are_fractions_are_counted(tmp_path: Path) -> None:
    source = EntityFile(written(tmp_path, "id,name\n1.0,a\n2.0,b\n3,c\n"))
    source.check()
    assert any(note.startswith("2 ids end in .0") for note in source.notes)


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl"])
def test_a_null_character_is_named_with_its_field(tmp_path: Path, name: str) -> None:
    content = "id,name\nGN,Gui\0nea\n" if name == "e.csv" else '{"id": "GN", "name": "Gui\\u0000nea"}'
    entities, faults, _ = read(written(tmp_path, content, name))
    assert entities == []
    assert "field 'name': holds a null character" in faults[0]


def test_the_row_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    good = "".join(f"{number},name {number}\n" for number in range(2000))
    content = f"id,name\n{good}".encode() + "x,Łódź\n".encode("cp1250")
    _, faults, _ = read(written(tmp_path, content))
    assert "row 2002: is not UTF-8" in faults[0]


def test_numbers_have_the_zeros_that_their_format_shows(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        _rows(sheet, ("id", "name"), (123, "a"), (7, "b"), (8, "c"), (1234567890123456789, "d"))
        sheet["A2"].number_format, sheet["A3"].number_format, sheet["A4"].number_format = "00000", '"GN-"000', "0.00"

    entities, faults, notes = read(_workbook(tmp_path, fill))
    assert [entity.id for entity in entities][:3] == ["00123", "GN-007", "8"]
    assert faults == []
    assert "2 numbers are read with the zeros in front that their format shows" in notes
    assert any(note.startswith("1 number has more than 15 digits") for note in notes)


def test_merged_cells_have_their_text_in_every_row(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        _rows(sheet, ("Our list",), ("id", "name", "types"), ("a", "A", "city"), ("b", "B"), ("c", "C"), ("d", "D"))
        sheet.merge_cells("A1:C1")
        sheet.merge_cells("C3:C5")

    entities, faults, notes = read(_workbook(tmp_path, fill))
    assert [entity.types for entity in entities] == [("city",)] * 3 + [()]
    assert faults == []
    assert "1 merged cell goes over several rows; each of these rows has its text" in notes


def test_the_first_sheet_that_shows_something_is_read(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        _rows(sheet, ("id", "name"), ("no", "No"))
        sheet.sheet_state = "hidden"
        book.create_sheet("empty")
        _rows(book.create_sheet("data"), ("id", "name"), ("GN", "Guinea"))
        book.active = 1

    path = _workbook(tmp_path, fill)
    entities, _, notes = read(path)
    assert entities == [GUINEA]
    assert "of 3 sheets 'data' is read (--sheet says otherwise)" in notes
    assert [entity.id for entity in read(path, sheet="Sheet")[0]] == ["no"]
    with pytest.raises(MelderError, match="has no sheet 'Data'; its sheets are Sheet, empty, data"):
        read(path, sheet="Data")


def test_a_sheet_without_a_header_leads_to_the_others(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        _rows(sheet, ("This is the list of …",))
        _rows(book.create_sheet("data"), ("id", "name"), ("GN", "Guinea"))

    path = _workbook(tmp_path, fill)
    with pytest.raises(MelderError, match="its sheets are Sheet, data: say which with --sheet NAME"):
        read(path)
    with pytest.raises(MelderError, match="its sheets are Sheet, data: say which with --sheet NAME"):
        list(mentions_of(path, Problems(), TableOptions()))
    assert read(path, sheet="data")[0] == [GUINEA]


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl"])
def test_only_workbooks_have_sheets(tmp_path: Path, name: str) -> None:
    content = "id,name\nGN,Guinea\n" if name == "e.csv" else '{"id": "GN", "name": "Guinea"}'
    with pytest.raises(MelderError, match=r"--sheet data: .* has no sheets"):
        read(written(tmp_path, content, name), sheet="data")


def test_formulas_without_values_and_hidden_rows_are_said(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        _rows(sheet, ("id", "name"), ("GN", "Guinea"), ("a", '="A"&"b"'), ("b", "B"))
        sheet.row_dimensions[4].hidden = True

    entities, faults, notes = read(_workbook(tmp_path, fill))
    assert [entity.id for entity in entities] == ["GN", "b"]
    assert "row 3, field 'name': is empty" in faults[0]
    assert any(note.startswith("1 formula has no value in the file") for note in notes)
    assert "1 hidden row is read too" in notes


def test_characters_that_xml_cannot_hold_are_read(tmp_path: Path) -> None:
    path = _workbook(tmp_path, lambda book, sheet: _rows(sheet, ("id", "name"), ("a", "A_x000D_\nB")))
    assert read(path)[0][0].name == "A\r\nB"


def test_a_locked_workbook_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "e.xlsx")
    with pytest.raises(MelderError, match=r"is locked by a password, or an old \.xls"):
        read(path)


def test_parquet_with_bytes_languages_and_other_columns(tmp_path: Path) -> None:
    table = {
        "id": pyarrow.array([b"GN", b"\xff"], pyarrow.binary()),
        "name": [{"en": "Guinea", "fr": "Guinée"}, None],
        "picture": [{"bytes": b"x"}, None],
        "types": [["country", None], None],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "e.parquet")
    entities, faults, notes = read(tmp_path / "e.parquet")
    labels = {"en": "Guinea", "fr": "Guinée"}
    assert entities == [Entity(id="GN", name="Guinea", types=("country",), labels=labels)]
    assert "field 'id': holds bytes that are not UTF-8" in faults[0]
    assert any(note.startswith("column picture is left out: it holds no texts") for note in notes)


@pytest.mark.parametrize(
    "content",
    [
        '{\n "id": "GN",\n "name": "Guinea"\n}\n',
        '{"id": "GN", "name": "Guinea",\n "aliases": null}\n\n{\n}\n',
        '{"id": "GN", "name": "Guinea", "aliases": [null], "description": NaN}',
        '{"id": "GN", "name": "Guinea", "images": ""}',
    ],
)
def test_objects_over_several_lines_are_records(tmp_path: Path, content: str) -> None:
    assert read(written(tmp_path, content, "e.json"))[0] == [GUINEA]


def test_numbers_and_single_texts_in_json_are_what_a_table_has(tmp_path: Path) -> None:
    content = '{"id": 7.0, "name": 1917, "aliases": "a|b", "types": 3, "images": [1]}'
    expected = Entity(id="7", name="1917", aliases=("a", "b"), types=("3",), images=("1",))
    assert read(written(tmp_path, content, "e.jsonl"))[:2] == ([expected], [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"total": 1, "items": [{"id": "GN"}]}', "holds its records in 'items'; write that array alone: jq '.items'"),
        ('{\n"data": [{"id": "GN"}]\n}', "holds its records in 'data'"),
        ('{"GN": {"name": "Guinea"}}', "is an object of objects; write a record a line: jq -c 'to_entries"),
    ],
)
def test_records_within_an_object_are_pointed_at(tmp_path: Path, content: str, words: str) -> None:
    entities, faults, _ = read(written(tmp_path, content, "e.json"))
    assert (entities, len(faults)) == ([], 1)
    assert words in faults[0]


def test_a_broken_first_line_spoils_no_other(tmp_path: Path) -> None:
    entities, faults, _ = read(written(tmp_path, '{"id": "x",\n{"id": "GN", "name": "Guinea"}\n', "e.jsonl"))
    assert (entities, len(faults)) == ([GUINEA], 1)


def test_columns_are_mapped_in_json_too(tmp_path: Path) -> None:
    content = '{"Nr": 1, "label": "Guinea", "name": "not this", "area": 3}\n{"nr": 2}\n'
    path = written(tmp_path, content, "e.jsonl")
    entities, faults, notes = read(path, columns=parse_columns(["id=Nr", "name=Label"]))
    assert entities == [Entity(id="1", name="Guinea")]
    assert "record 2, field 'name': is empty" in faults[0]
    assert "the field 'area' is left out" in notes
    assert "1 object has no 'Label' for the field name (--column name=Label)" in notes
    with pytest.raises(MelderError, match="there is no field 'nam'; use id, name"):
        read(path, columns=parse_columns(["nam=label"]))


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.parquet"])
def test_mentions_are_mapped_in_every_format(tmp_path: Path, name: str) -> None:
    if name == "m.parquet":
        pyarrow.parquet.write_table(pyarrow.table({"Nr": [1], "Caption": ["Guinea won"]}), tmp_path / name)
    else:
        content = "Nr,Caption\n1,Guinea won\n" if name == "m.csv" else '{"Nr": 1, "Caption": "Guinea won"}'
        written(tmp_path, content, name)
    problems, options = Problems(), TableOptions(parse_columns(["id=Nr", "text=Caption"]))
    mentions = list(mentions_of(tmp_path / name, problems, options, Notes()))
    assert [(mention.id, mention.text) for mention in mentions] == [("1", "Guinea won")]
    assert problems.records == []
