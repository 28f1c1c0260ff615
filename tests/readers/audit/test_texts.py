from __future__ import annotations

import pytest

from melder.data.audit.texts import bare, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("U.S. Army", "us army"),
        ("Well-known  fact\n", "well known fact!"),
        ("STRASSE", "Straße"),
        ("ﬁnal", "final"),
        ("e\u0301tude", "étude"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_writing_does_not_matter(one: str, other: str) -> None:
    assert bare(one) == bare(other)


@pytest.mark.parametrize(
    ("one", "other"), [("C", "C++"), ("कि", "का"), ("?!", "!!"), ("Ann", "Anne"), ("5", "-"), ("", "?")]
)
def test_what_makes_another_word_does(one: str, other: str) -> None:
    assert bare(one) != bare(other)


def test_only_a_text_without_anything_is_empty() -> None:
    assert bare(" \n") == ""
    assert bare(" ? ") == "?"


def test_words_of_a_path() -> None:
    assert words("Some%20dir/Angela_Merkel-(2012).JPG") == " some dir angela merkel 2012 jpg "
