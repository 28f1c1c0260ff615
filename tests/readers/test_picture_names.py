"""Which file a picture's name means, however a program has spelt it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from melder.data import EntityFile
from melder.data.picture_names import PictureNames, file_of
from melder.io.problems import Problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "Café.png",
        "Tour Eiffel.png",
        "sub/x.png",
        "Up.PNG",
        "a.png",
        "A.png",
        "sub/100%.png",
        "under_score.png",
    ):
        path = tmp_path / unicodedata.normalize("NFD", name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path.parent / "outside.png").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Café.png", "Cafe\u0301.png"),
        ("Tour%20Eiffel.png", "Tour Eiffel.png"),
        ("Tour_Eiffel.png", "Tour Eiffel.png"),
        ("sub\\x.png", "sub/x.png"),
        ("up.png", "Up.PNG"),
        ("CAF%C3%89.PNG", "Cafe\u0301.png"),
        ("sub/100%25.png", "sub/100%.png"),
        ("https://example.org/pictures/Tour%20Eiffel.png", "Tour Eiffel.png"),
        ("http://commons.wikimedia.org/wiki/Special:FilePath/under%20score.png", "under_score.png"),
        ("a.PNG", None),
        ("none.png", None),
        ("../outside.png", None),
        ("%2e%2e/outside.png", None),
        ("..\\outside.png", None),
    ],
)
def test_the_file_that_is_meant_is_found(folder: Path, name: str, file: str | None) -> None:
    assert PictureNames(folder).located(name) == file


def test_a_name_in_full_is_taken_as_it_is(folder: Path) -> None:
    names = PictureNames(folder)
    assert all(names.is_there(name) and names.located(name) == name for name in ("a.png", "A.png", "Up.PNG"))


def test_pictures_are_taken_under_the_name_of_their_file_and_others_hinted_at(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "e.csv"
    table.write_text("id,name,images\n1,x,Café.png|up.png\n2,y,a.PNG\n3,z,none.png\n", encoding="utf-8")
    source = EntityFile(table, folder)
    entities = [entity for _, entity in source.entities(Problems())]
    assert entities[0].images == ("Cafe\u0301.png", "Up.PNG")
    _, problems = source.check()
    assert "is it one of 'A.png', 'a.png'?" in str(problems.records[0])
    assert "none.png'; correct it or leave it out" in str(problems.records[1])
    assert source.notes == (
        "2 pictures are there under another spelling (Unicode, %20, backslashes, case), and are taken",
    )


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("pictures/x.png", ["sub/x.png"]),
        ("x.jpg", ["sub/x.png"]),
        ("C:\\scans\\Tour Eiffel.tif", ["Tour Eiffel.png"]),
        ("File:Up.png", ["Up.PNG"]),
        ("under score", ["under_score.png"]),
        ("nothing.png", []),
    ],
)
def test_a_file_in_another_folder_or_with_another_ending_is_offered(folder: Path, name: str, files: list[str]) -> None:
    names = PictureNames(folder)
    assert names.located(name) is None
    assert names.alike(name) == files


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("https://iiif.example.org/iiif/2/krug-7/full/full/0/default.jpg", "krug-7.jpg"),
        ("https://example.org/iiif/a%2Fb/0,0,500,500/!400,400/!90/color.png", "a_b.png"),
        ("https://example.org/iiif/3/x/pct:0,0,50,50/max/22.5/gray.webp", "x.webp"),
        ("https://example.org/full/x/default.jpg", "default.jpg"),
        ("https://example.org/pictures/full/a/0/b.jpg", "b.jpg"),
    ],
)
def test_pictures_of_iiif_are_called_by_their_identifiers(address: str, file: str) -> None:
    assert file_of(address) == file
