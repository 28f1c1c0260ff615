"""Tables as other programs write them: what is read off them, what is said of it, and what is refused."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from melder.data import EntityFile
from melder.data.tables.cells import text_of
from melder.data.tables.options import Notes, TableOptions, parse_columns
from melder.io.problems import Problems
from melder.records import Entity, MelderError

GUINEA = Entity(id="GN", name="Guinea")


def read(path: Path, **options: Any) -> tuple[list[Entity], list[str], list[str]]:
    """The entities of a file, what is wrong with it, and what is noted."""
    problems, notes = Problems(), Notes()
    entities = [entity for _, entity in EntityFile(path, None, TableOptions(**options)).entities(problems, notes)]
    return entities, [str(record) for record in problems.records], list(notes)


def written(directory: Path, content: str | bytes, name: str = "e.csv") -> Path:
    path = directory / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\nid;name\r\nGN;Guinea\r\n",
        "SEP=,\r\nid,name\r\nGN,Guinea\r\n",
        "sep=\t\nid\tname\nGN\tGuinea\n",
        "id;name;;\nGN;Guinea;;\n",
        "ID,Name\nGN,Guinea\n",
        "\ufeffId,NAME \nGN, Guinea\n",
        ",id,name\n0,GN,Guinea\n",
        "id,name,Population\nGN,Guinea,14000000\n",
        "\n\nid,name\n\nGN,Guinea\n,\n",
        '"id;x",id,name\n1,GN,Guinea\n',
        'id,name\r"GN","Guinea"\r',
        '"id"\t"name"\n"GN"\t"Guinea"\n',
    ],
)
def test_what_spreadsheets_and_data_frames_write_is_taken(tmp_path: Path, content: str) -> None:
    entities, faults, _ = read(written(tmp_path, content))
    assert (entities, faults) == ([GUINEA], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_unicode_is_told_by_its_first_bytes(tmp_path: Path, encoding: str) -> None:
    entities, faults, notes = read(written(tmp_path, "id;name\nC;Café Łódź\n".encode(encoding)))
    assert (entities, faults) == ([Entity(id="C", name="Café Łódź")], [])
    assert any(note.startswith("the file is UTF-") for note in notes) == (not encoding.startswith("utf-8"))


@pytest.mark.parametrize("name", ["Café Müller", "L’Été “á la” – Ágnes", "Größe, 5 €"])
def test_windows_1252_is_taken_where_it_is_certain(tmp_path: Path, name: str) -> None:
    entities, faults, notes = read(written(tmp_path, f'id,name\nC,"{name}"\n'.encode("cp1252")))
    assert (entities, faults) == ([Entity(id="C", name=name)], [])
    assert notes[0].startswith("the file is not UTF-8; it is read as Windows-1252")


@pytest.mark.parametrize(
    ("name", "encoding"), [("Łódź", "cp1250"), ("Минск", "cp1251"), ("Αθήνα", "cp1253"), ("crème", "cp1252")]
)
def test_other_code_pages_are_declared_and_never_guessed(tmp_path: Path, name: str, encoding: str) -> None:
    path = written(tmp_path, f"id,name\nC,{name}\n".encode(encoding))
    entities, faults, _ = read(path)
    assert entities == []
    assert "is not UTF-8" in faults[0]
    assert "--encoding" in faults[0]
    assert read(path, encoding=encoding)[:2] == ([Entity(id="C", name=name)], [])


def test_an_encoding_that_does_not_fit_or_is_none_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "id,name\nC,Café\n")
    assert "is not ASCII" in read(path, encoding="ascii")[1][0]
    for encoding in ("windows-125", "base64"):
        with pytest.raises(MelderError, match=f"--encoding {encoding}: is no encoding"):
            read(path, encoding=encoding)


def test_columns_are_mapped_as_the_user_says(tmp_path: Path) -> None:
    path = written(tmp_path, "Key,Label,German,French,name\nGN,Guinea,Guinea (de),Guinée,not this\n")
    columns = parse_columns(["id=key", "name=Label", "aliases = German", "aliases=French"])
    entities, faults, notes = read(path, columns=columns)
    assert entities == [Entity(id="GN", name="Guinea", aliases=("Guinea (de)", "Guinée"))]
    assert faults == []
    assert "columns: id = Key, name = Label, aliases = German, aliases = French" in notes
    assert "columns that are left out: name" in notes


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["id"], "--column 'id': write FIELD=HEADER"),
        (["=x"], "write FIELD=HEADER"),
        (["key=Key"], "there is no field 'key'; use id, name, aliases"),
        (["id=Kee"], "row 1: has no column 'Kee'; its columns are Key, Label, Other"),
        (["id=Key", "name=Label", "name=Other"], "gives 'name' two columns"),
    ],
)
def test_a_column_that_cannot_be_mapped_is_named(tmp_path: Path, columns: list[str], words: str) -> None:
    with pytest.raises(MelderError, match=words):
        read(written(tmp_path, "Key,Label,Other\nGN,Guinea,\n"), columns=parse_columns(columns))


def test_what_a_column_may_be_is_hinted_at(tmp_path: Path) -> None:
    _, _, notes = read(written(tmp_path, "id,name,Picture,x\nGN,Guinea,,\n"))
    assert notes[-1] == "columns that are left out: Picture, x (is Picture the images? then --column images=Picture)"


@pytest.mark.parametrize(
    ("row", "words"), [("GN,Guinea,x,y", "has more cells than the header"), ("GN,Guinea", "has fewer cells")]
)
def test_rows_of_another_length_are_refused_or_taken_and_listed(tmp_path: Path, row: str, words: str) -> None:
    path = written(tmp_path, f"id,name,description\nML,Mali,\n{row}\n")
    entities, faults, _ = read(path)
    assert ([entity.id for entity in entities], len(faults)) == (["ML"], 1)
    assert f"row 3: {words}" in faults[0]
    entities, faults, _ = read(path, lenient=True)
    assert [entity.id for entity in entities] == ["ML", "GN"]
    assert f"row 3: {words}" in faults[0]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["Aleph; Alif"], [("Aleph", "Alif")]),
        (['["Aleph","Alif"]'], [("Aleph", "Alif")]),
        (["Aleph|Alif"], [("Aleph", "Alif")]),
        (["Steins;Gate", "Aleph|Alif"], [("Steins;Gate",), ("Aleph", "Alif")]),
        (["Aleph;", "[1, 2]", "[Aleph]"], [("Aleph",), ("[1, 2]",), ("[Aleph]",)]),
        (["a.png;b.png", '["c.png"]'], [("a.png", "b.png"), ("c.png",)]),
    ],
)
def test_lists_in_cells_are_told_and_said(tmp_path: Path, cells: list[str], expected: list[tuple[str, ...]]) -> None:
    rows = "".join(f"E{number},x,{_quoted(cell)}\n" for number, cell in enumerate(cells))
    entities, faults, notes = read(written(tmp_path, "id,name,aliases\n" + rows))
    assert ([entity.aliases for entity in entities], faults) == (expected, [])
    piped = any("|" in cell for cell in cells)
    assert any("';' divides" in note for note in notes) == (any(";" in cell for cell in cells) and not piped)
    assert any("in JSON" in note for note in notes) == any('["' in cell for cell in cells)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def test_the_separator_of_lists_can_be_said(tmp_path: Path) -> None:
    path = written(tmp_path, "id,name,aliases\nS,x,Steins;Gate\n")
    assert read(path, list_separator="|")[0][0].aliases == ("Steins;Gate",)
    path = written(tmp_path, "id,name,aliases\nS,x,a / b|c\n")
    assert read(path, list_separator="/")[0][0].aliases == ("a", "b|c")


def test_rows_of_one_id_are_one_entity_when_that_is_wanted(tmp_path: Path) -> None:
    rows = "1,Paris,Paname,capital,a.png\n2,Rome,,,\n1,Paris,City of Light,another,b.png\n1,Parigi,,capital,a.png\n"
    path = written(tmp_path, "id,name,aliases,description,images\n" + rows)
    _, faults, _ = read(path)
    assert len(faults) == 2
    assert "'1' is also the id of row 2; give each its own, or make such rows one with --merge-rows" in faults[0]
    entities, faults, notes = read(path, merge_rows=True)
    assert faults == []
    assert entities[0] == Entity(
        id="1",
        name="Paris",
        aliases=("Paname", "City of Light", "Parigi"),
        description="capital",
        images=("a.png", "b.png"),
    )
    assert "1 entity has several rows, which are one entity" in notes
    assert any(note.startswith("1 row has another description") for note in notes)


SPARQL = """item,itemLabel,itemDescription,itemAltLabel,class,classLabel,pic
http://www.wikidata.org/entity/Q90,Paris,capital of France,"City of Light, Paname",http://www.wikidata.org/entity/Q515,city,http://commons.wikimedia.org/wiki/Special:FilePath/Tour%20Eiffel.png
http://www.wikidata.org/entity/Q90,Paris,capital of France,"City of Light, Paname",http://www.wikidata.org/entity/Q5119,capital,
https://www.wikidata.org/entity/Q123,Q123,,,,,http://commons.wikimedia.org/wiki/Special:FilePath/Lost.png
"""


def test_the_result_of_a_query_to_wikidata_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "Tour_Eiffel.png").write_bytes(b"")
    source = EntityFile(written(tmp_path, SPARQL))
    problems = Problems()
    entities = [entity for _, entity in source.entities(problems)]
    assert not problems.records
    assert entities == [
        Entity(
            id="Q90",
            name="Paris",
            aliases=("City of Light", "Paname"),
            description="capital of France",
            types=("city", "capital"),
            images=("Tour_Eiffel.png",),
        ),
        Entity(id="Q123", name="Q123"),
    ]
    count, problems = source.check()
    assert (count, problems.records) == (2, [])
    said = "\n".join(source.notes)
    for words in (
        "the columns are those of a query to Wikidata: id = item, name = itemLabel",
        "1 entity has several rows",
        "1 picture is an address",
        "1 name is the entity's id",
    ):
        assert words in said


@pytest.mark.parametrize("header", ["city,cityLabel", "item,itemLabel,label", "s,itemLabel,x,xLabel"])
def test_the_variable_with_a_label_is_the_entity(tmp_path: Path, header: str) -> None:
    values = {"city": "Q90", "item": "Q90", "x": "Q90", "cityLabel": "Paris", "xLabel": "Paris"}
    values |= {"label": "", "s": "", "itemLabel": "Paris" if "item," in header else ""}
    row = ",".join(values[name] for name in header.split(","))
    assert read(written(tmp_path, f"{header}\n{row}\n"))[0] == [Entity(id="Q90", name="Paris")]


def test_ids_that_are_rounded_numbers_are_counted(tmp_path: Path) -> None:
    source = EntityFile(written(tmp_path, "id,name\n1.23457E+15,a\n2E+20,b\n12,c\n"))
    source.check()
    assert any(note.startswith("2 ids are rounded numbers") for note in source.notes)


def _book(path: Path, rows: Sequence[Sequence[Any]], sheets: int = 1) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    for _ in range(sheets - 1):
        book.create_sheet()
    book.save(path)
    return path


def test_a_spreadsheet_is_read_as_a_table(tmp_path: Path) -> None:
    rows = [["ID", "Name", "aliases", None], [7, 1917, "a|b"], [None, None], [8.0, datetime.date(2020, 1, 2), "#N/A"]]
    entities, faults, notes = read(_book(tmp_path / "e.xlsx", rows, sheets=2))
    assert entities == [
        Entity(id="7", name="1917", aliases=("a", "b")),
        Entity(id="8", name="2020-01-02"),
    ]
    assert faults == []
    assert "of 2 sheets 'Sheet' is read (--sheet says otherwise)" in notes
    assert any(note.startswith("1 cell holds an error of the spreadsheet") for note in notes)


def test_parquet_is_read_as_a_table(tmp_path: Path) -> None:
    table = {"Id": [7, 8], "name": ["Guinea", None], "aliases": [["a", "b;c"], None], "description": [None, "text"]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "e.parquet")
    entities, faults, _ = read(tmp_path / "e.parquet")
    assert entities == [Entity(id="7", name="Guinea", aliases=("a", "b;c")), Entity(id="8", description="text")]
    assert faults == []


@pytest.mark.parametrize("name", ["e.xlsx", "e.parquet"])
@pytest.mark.parametrize("content", [b"", b"id,name\n", b"PK\x03\x04nothing"])
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(MelderError, match=f"{name}: is no (XLSX|Parquet) file"):
        read(written(tmp_path, content, name))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (7.0, "7"),
        (7.5, "7.5"),
        (True, "True"),
        (["a", None, 1], ("a", "1")),
        ("x", "x"),
    ],
)
def test_values_of_data_frames_become_texts(value: object, text: object) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("content", ['[{"id": 7, "name": "Guinea"}]', '\ufeff\n [\n{"id": "7",\n"name": "Guinea"}]\n'])
def test_an_array_is_as_good_as_lines(tmp_path: Path, content: str) -> None:
    for name in ("e.json", "e.jsonl"):
        assert read(written(tmp_path, content, name))[:2] == ([Entity(id="7", name="Guinea")], [])


def test_a_bad_element_of_an_array_is_named_by_its_place(tmp_path: Path) -> None:
    content = '[{"id": "a", "name": "A"}, {"name": "B"}, 3, {"id": "d", "name": "\\ud800"}, {"id": null, "name": "E"}]'
    entities, faults, _ = read(written(tmp_path, content, "e.json"))
    assert [entity.id for entity in entities] == ["a"]
    assert [fault.split("record ")[1].split(":")[0] for fault in faults] == ["2, field 'id'", "3", "4", "5, field 'id'"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,name\nGN,Guinea\n" * 1201, "is no JSON: it begins with 'id,name'; give a table the ending .csv"),
        ('{\n "data": [1,\n 2]\n}\n', "is one JSON object; write a record a line, or an array"),
        ('{"id": "a"}\n'.encode("utf-16"), "is UTF-16; save the file as UTF-8"),
        ("<rdf:RDF>\n</rdf:RDF>", "is no JSON: it begins with '<rdf:RDF>'"),
    ],
)
def test_a_file_of_another_format_is_one_mistake(tmp_path: Path, content: str | bytes, words: str) -> None:
    _, faults, _ = read(written(tmp_path, content, "e.jsonl"))
    assert len(faults) == 1
    assert words in faults[0]


@pytest.mark.parametrize("name", ["e.xlsx", "e.parquet"])
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "e.xlsx":
        _book(path, [["id", "name"], *([number, f"name {number}"] for number in range(50))])
    else:
        pyarrow.parquet.write_table(pyarrow.table({"id": list(range(50)), "name": ["a"] * 50}), path)
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in draw.choices(range(len(whole)), k=draw.randint(1, 8)):
            damaged[place] = draw.randrange(256)
        path.write_bytes(damaged[: draw.choice([len(whole), draw.randrange(len(whole))])])
        with suppress(MelderError):
            assert all(isinstance(entity, Entity) for entity in read(path)[0])
