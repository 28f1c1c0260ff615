"""`melder kb check`, `build`, `add` and `update` read one table the same way, and say how."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from melder.cli import app
from melder.kb import open_knowledge_base
from melder.records import BadData, MelderError

SAMPLE = Path(__file__).parents[1] / "data/versions/3.tar.xz"
EXPORT = (
    "sep=;\r\nNr;Label;Synonyms;Kind;Photo;;\r\n"
    "1;Café;Kaffeehaus; place;a%20b.PNG;;\r\n"
    "2;Müller;Miller;person;;;\r\n"
    "Q3;Q3;;;;;\r\n"
)
MAPPED = ["id=Nr", "name=Label", "aliases=Synonyms", "types=Kind", "images=Photo"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sample")
    with tarfile.open(SAMPLE) as archive:
        archive.extractall(directory, filter="data")
    return directory / "run"


@pytest.fixture
def export(run: Path, tmp_path: Path) -> Path:
    (tmp_path / "a b.png").write_bytes((run.parent / "data/images/0.png").read_bytes())
    path = tmp_path / "export.csv"
    path.write_bytes(EXPORT.encode("cp1252"))
    return path


def melder(*arguments: object) -> int:
    columns = [word for pair in MAPPED for word in ("--column", pair)]
    return int(app(["kb", *map(str, arguments), *columns], standalone_mode=False) or 0)


def test_a_check_says_that_no_entity_has_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "export.csv"
    table.write_text("Id,Label,Description\nA,Café,place\n")
    assert int(app(["kb", "check", str(table)], standalone_mode=False) or 0) == 0
    printed = capsys.readouterr().err
    assert "no entity has a name: say which column it is by --column name=HEADER" in printed
    assert "nothing is wrong" not in printed


def test_a_check_says_what_is_in_a_table_and_how_it_is_read(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert melder("check", export) == 0
    printed = capsys.readouterr()
    for line in ("entities", "with a picture that is there", "type place", "Café (also Kaffeehaus)"):
        assert line in printed.out
    for note in (
        "read as Windows-1252",
        "divided by semicolons",
        "columns: id = Nr, name = Label",
        "1 picture is there under another spelling",
        "1 name is the entity's id",
        f"nothing is wrong. Next: melder kb build --entities {export} --column id=Nr --column name=Label",
    ):
        assert note in printed.err


def test_a_check_says_what_skip_bad_would_take(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.write_text(EXPORT + "1;again;;;;;\r\n5;short\r\n6;lost;;;none.png;;\r\n", encoding="utf-8")
    assert melder("check", export, "--skip-bad") == 3
    said = capsys.readouterr().err
    assert "melder kb build --skip-bad would take 5 entities of these" in said
    assert "1 record left out, 2 records taken as far as possible:" in said


def test_a_check_ends_as_a_build_would(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.write_text(EXPORT + "1;again;;;;;\r\n4;long;;;;;x\r\n5;short\r\n6;lost;;;none.png;;\r\n", encoding="utf-8")
    with pytest.raises(BadData) as error:
        melder("check", export)
    said = str(error.value)
    for words in (
        "row 5, field 'id': '1' is also the id of row 2; give each its own, or make such rows one with --merge-rows",
        "row 6: has more cells than the header",
        "row 7: has fewer cells than the header",
        "row 8, field 'images': there is no file",
    ):
        assert words in said
    assert "4 records need mending" in capsys.readouterr().err


def test_a_knowledge_base_is_built_and_changed_from_a_table(
    run: Path, export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kb = tmp_path / "kb"
    assert melder("build", run, "--entities", export, "--out", kb) == 0
    assert "note: the file is not UTF-8; it is read as Windows-1252" in capsys.readouterr().err
    more = tmp_path / "more.csv"
    more.write_text("Nr,Label,Synonyms,Kind,Photo\n7,Łódź,,place,\n7,Lodz,,city,\n", encoding="utf-8")
    with pytest.raises(MelderError, match="--merge-rows"):
        melder("add", kb, "--entities", more)
    assert melder("add", kb, "--entities", more, "--merge-rows") == 0
    more.write_text("Nr;Label\n2;Möller\n", encoding="utf-8")
    columns = ["--column", "id=Nr", "--column", "name=Label"]
    app(["kb", "update", str(kb), "--entities", str(more), *columns], standalone_mode=False)
    with open_knowledge_base(kb) as base:
        names = {entity.id: entity.names for entity in base.records(sorted(base.rows(["1", "2", "7"]).values()))}
        assert names == {"1": ("Café", "Kaffeehaus"), "2": ("Möller",), "7": ("Łódź", "Lodz")}
        assert base.records(base.named("Lodz"))[0].types == ("place", "city")
        assert base.records(base.named("cafe"))[0].images == ("a b.png",)


def test_rows_of_another_length_are_taken_with_skip_bad(run: Path, export: Path, tmp_path: Path) -> None:
    export.write_text(EXPORT + "4;long;;;;;x\r\n5;short\r\n", encoding="utf-8")
    assert melder("build", run, "--entities", export, "--out", tmp_path / "kb", "--skip-bad") == 3
    with open_knowledge_base(tmp_path / "kb") as base:
        assert len(base) == 5


def test_links_are_not_written_over_their_mentions(tmp_path: Path) -> None:
    mentions = tmp_path / "mentions.csv"
    mentions.write_text("mention,text\nGuinea,Guinea won the toss\n", encoding="utf-8")
    with pytest.raises(MelderError, match="is the file of mentions itself"):
        app(["link", "any-kb", "--input", str(mentions), "--output", str(mentions)], standalone_mode=False)
    assert mentions.read_text(encoding="utf-8").endswith("Guinea won the toss\n")
