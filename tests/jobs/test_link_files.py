"""`melder link --input FILE --output FILE`: formats by their endings, mentions as people have them, safe tables."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from melder.cli import app
from melder.export.annotated_text import LinkedMention
from melder.export.link_table import LinkTable, guarded
from melder.records import BadData, Candidate, Decided, MelderError, Mention
from samples import unpacked


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(3, tmp_path_factory.mktemp("sample")) / "kb"


def link(kb: Path, source: Path, output: Path, *more: str) -> int:
    """The exit status."""
    status = app(
        ["link", str(kb), "--input", str(source), "--output", str(output), "-k", "2", *more], standalone_mode=False
    )
    return int(status or 0)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


TABLES = {
    "comma": "mention,text\nfox,a fox ran\nowl,\n,a hare\n",
    "semicolon": "sep=;\r\nMention;Text;;\r\nfox;a fox ran\t;;\r\nowl;;;\r\n;a hare;;\r\n",
    "more": "Nr,surface,text,Remark\n1,fox,a fox ran,x\n2,owl,,\n3,,a hare,\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_mentions_becomes_a_table_of_links(kb: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "m.csv").write_text(TABLES[kind], encoding="utf-8")
    link(kb, tmp_path / "m.csv", tmp_path / "links.csv")
    found = rows(tmp_path / "links.csv")
    assert [row["id"] for row in found] == ["2", "3", "4"]  # rows as the spreadsheet counts them
    assert [(row["mention"], row["start"], row["end"]) for row in found] == [
        ("fox", "2", "5"),
        ("owl", "", ""),
        ("a hare", "0", "6"),
    ]
    assert all(row["id_2"] and float(row["score_1"]) >= float(row["score_2"]) for row in found)


def test_every_format_gives_the_same_links(kb: Path, tmp_path: Path) -> None:
    records = [{"mention": "fox", "text": "a fox ran"}, {"mention": "owl"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "m.json").write_text(json.dumps(records))
    book = openpyxl.Workbook()
    for row in (["id", "mention", "text"], [1, "fox", "a fox ran"], [2.0, "owl", None]):
        book.active.append(row)
    book.save(tmp_path / "m.xlsx")
    for name in ("m.jsonl", "m.json", "m.xlsx"):
        link(kb, tmp_path / name, tmp_path / f"{name}.out.jsonl")
    link(kb, tmp_path / "m.xlsx", tmp_path / "links.tsv")
    found = [lines(tmp_path / f"{name}.out.jsonl") for name in ("m.jsonl", "m.json", "m.xlsx")]
    assert found[0] == found[1] == found[2]
    assert [row["id"] for row in found[0]] == ["1", "2"]
    with (tmp_path / "links.tsv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["id_1"] for row in csv.DictReader(file, delimiter="\t")] == [
            row["candidates"][0]["id"] for row in found[0]
        ]


def test_columns_are_mapped(kb: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes("Wort;Satz\nfox;a fox wäre\n".encode("cp1252"))
    more = ("--column", "mention=Wort", "--column", "text=Satz", "--encoding", "windows-1252")
    link(kb, tmp_path / "m.csv", tmp_path / "links.csv", *more)
    assert rows(tmp_path / "links.csv")[0]["start"] == "2"


def test_a_summary_says_how_many_where_and_with_which_pictures(
    kb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(kb.parent / "data/images/0.png", tmp_path / "Ä fox.png")
    (tmp_path / "m.csv").write_text("mention,image\nfox,A\u0308%20fox.PNG\nowl,none.png\nhare,\n", encoding="utf-8")
    assert link(kb, tmp_path / "m.csv", tmp_path / "links.csv") == 3
    assert "links.csv: 3 mentions linked; 1 of 2 pictures used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,mention\n" + "1,fox\n" * 1200, "is no JSON: it begins with 'id,mention'"),
        ("PK\x03\x04", "is no JSON: it begins with"),
        ("<html>\n<body>\n", "is no JSON: it begins with '<html>'"),
        ('{"data": [\n1\n]}', "is one JSON object; write a record a line"),
    ],
)
def test_a_file_in_another_format_is_one_error(kb: Path, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(BadData) as error:
        link(kb, tmp_path / "m.jsonl", tmp_path / "links.jsonl")
    assert len(error.value.records) == 1
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["links.txt", "links", "links.json", "links.xls"])
def test_an_ending_of_no_format_is_refused(kb: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "m.csv").write_text("mention\nfox\n")
    with pytest.raises(MelderError, match=r"links are written as \.jsonl, \.ndjson, \.csv, \.tsv, \.ttl, "):
        link(kb, tmp_path / "m.csv", tmp_path / name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,image\n1,a.png\n", "has no column 'mention' or 'text'; say which .*--column mention=HEADER"),
        ("mention,start,end,text\nfox,a,b,a fox\n", "field 'start': must be a valid|field 'start'"),
    ],
)
def test_a_table_without_mentions_is_refused(kb: Path, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(MelderError, match=words):
        link(kb, tmp_path / "m.csv", tmp_path / "links.csv")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "-", "=HYPERLINK(1)"])
def test_what_a_spreadsheet_would_compute_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+3.25", "-1e9", "Guinea", "", "a=b", "3-4"])
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert guarded(text) == text


def test_every_text_of_a_row_is_guarded() -> None:
    file = io.StringIO()
    candidates = (Candidate(id="=a", name="@b", score=-1.5),)
    table = LinkTable(file, 2, decided=True)
    table.write([_linked(id="+i", start=None, end=None, surface="-s x", candidates=candidates, answer="=a")])
    table.write([_linked(id="j", start=0, end=1, surface="s", candidates=(), answer=None)])
    header, first, second = csv.reader(io.StringIO(file.getvalue()))
    assert header[:6] == ["id", "mention", "start", "end", "nil_probability", "answer"]
    assert first == ["'+i", "'-s x", "", "", "", "'=a", "'=a", "'@b", "-1.5", "", "", ""]
    assert second == ["j", "s", "0", "1", "", *[""] * 7]


def _linked(**link: Any) -> LinkedMention:
    return LinkedMention(Mention(id=link["id"]), Decided(**link))


@pytest.mark.parametrize(
    ("name", "content", "notes"),
    [
        (
            "m.csv",
            "mention,text\nfox,a fox ran\n,\n,\n\nowl,\n,\n",
            ["3 empty rows are passed over"],
        ),
        ("m.csv", "id,mention,text\n1,fox,\n2,,\n3, ,\n", ["2 mentions have neither words nor a picture"]),
        ("m.jsonl", '{"mention": "fox"}\n{"id": "2"}\n', ["1 mention has neither words nor a picture, and is left"]),
    ],
)
def test_rows_that_say_nothing_are_counted_and_said(
    kb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, notes: list[str]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert link(kb, tmp_path / name, tmp_path / "links.jsonl") == 0
    said = capsys.readouterr().err
    assert any(note in said for note in notes)
    count = sum(bool(row["surface"].strip()) for row in lines(tmp_path / "links.jsonl"))
    assert len(lines(tmp_path / "links.jsonl")) == count
    assert f"{count} mention{'s' * (count != 1)} linked" in said


@pytest.mark.parametrize(
    ("name", "form", "start"),
    [("x.ttl", None, "@prefix"), ("x.txt", "tei", "<?xml"), ("x.jsonld", None, "{"), ("x", "csv", "\ufeffid,mention")],
)
def test_links_are_written_for_other_programs(
    kb: Path, tmp_path: Path, name: str, form: str | None, start: str
) -> None:
    (tmp_path / "m.csv").write_text("mention,text\nfox,a fox ran\nran,a fox ran\n", encoding="utf-8")
    more = ["--entity-uri", "https://kb.example/", *(["--format", form] if form else [])]
    assert link(kb, tmp_path / "m.csv", tmp_path / name, *more) == 0
    content = (tmp_path / name).read_text(encoding="utf-8")
    assert content.startswith(start)
    assert form == "csv" or content.count("a fox ran") <= 1


@pytest.mark.parametrize(
    ("form", "words"),
    [("turtle", "there are jsonl"), ("web-anotation", "did you mean web-annotation"), ("", "there are")],
)
def test_a_format_that_there_is_not_is_named(kb: Path, tmp_path: Path, form: str, words: str) -> None:
    (tmp_path / "m.csv").write_text("mention\nfox\n", encoding="utf-8")
    with pytest.raises(MelderError, match=words):
        link(kb, tmp_path / "m.csv", tmp_path / "x", "--format", form)


def test_a_cluster_writes_no_texts(kb: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("mention\nfox\n", encoding="utf-8")
    with pytest.raises(MelderError, match=r"without their texts; take \.jsonl"):
        link(kb, tmp_path / "m.csv", tmp_path / "x.ttl", "--ray", "local")
