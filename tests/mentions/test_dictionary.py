"""Finding mentions: against a slow finder that tries every span, and what people would expect of names."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melder.mentions.affixes import RULE_NAMES
from melder.mentions.dictionary import NameFinder
from melder.records import MelderError

PIECES = ["a", "b", "B", "ß", "SS", "İ", "ﬁ", "fi", "\u0301", "á", " ", "\u00a0", "\n", "-", ".", "京", "都", "𝔸", "1"]
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def _slow(names: list[str], text: str) -> list[tuple[int, int]]:
    wanted = {_folded(name) for name in names if len(name.strip()) > 1 and any(map(str.isalpha, name))}
    ends = [place for place in range(len(text) + 1) if _is_boundary(text, place)]
    spans = [(start, end) for start in ends for end in ends if start < end]
    matches = [
        (start, end)
        for start, end in spans
        if not text[start].isspace() and not text[end - 1].isspace() and _folded(text[start:end]) in wanted
    ]
    found: list[tuple[int, int]] = []
    for start, end in sorted(matches, key=lambda span: (span[0] - span[1], span[0])):
        if all(end <= other or stop <= start for other, stop in found):
            found.append((start, end))
    return sorted(found)


def _folded(name: str) -> str:
    whole = unicodedata.normalize("NFKC", " ".join(name.split()))
    return unicodedata.normalize("NFKC", whole.casefold())


def _is_boundary(text: str, place: int) -> bool:
    def letter(character: str) -> bool:
        return unicodedata.category(character)[0] in "LMN" and character not in "京都"

    return place in (0, len(text)) or not (letter(text[place - 1]) and letter(text[place]))


@given(st.lists(texts.filter(lambda name: not name.isupper()), max_size=8), texts)
def test_mentions_are_those_of_a_finder_that_tries_every_span(names: list[str], text: str) -> None:
    assert NameFinder(names, ()).find(text) == _slow(names, text)


@given(st.lists(texts, max_size=5), texts)
def test_mentions_are_disjoint_and_within_the_text(names: list[str], text: str) -> None:
    found = NameFinder(names).find(text)
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["Guinea", "Papua New Guinea"], "Papua New Guinea beat Guinea.", ["Papua New Guinea", "Guinea"]),
        (["Guinea", "Guinea pig", "pig farm"], "a guinea pig farm", ["guinea pig"]),
        (["new york", "york city hall"], "New York City Hall", ["York City Hall"]),
        (["Guinea"], "Guineas, Guinea-Bissau, Equatorialguinea, GUINEA's", ["Guineas", "Guinea", "GUINEA"]),
        (["Straße"], "🏏 DIE STRASSE, die Straße", ["STRASSE", "Straße"]),
        (["İzmir"], "İİ İzmir", ["İzmir"]),
        (["Zoë"], "Zoe\u0308", ["Zoe\u0308"]),
        (["Côte d'Ivoire", "Guinea-Bissau"], "Côte d’Ivoire, Guinea‑Bissau", ["Côte d’Ivoire", "Guinea‑Bissau"]),
        (["New  York"], "New\n\tYork", ["New\n\tYork"]),
        (["C++", ".Net"], "C++ and .NET", ["C++", ".NET"]),
        (["東京"], "私は東京都に住む", ["東京"]),
        (["IT", "US", "who"], "It told us: IT, US, WHO", ["IT", "US", "WHO"]),
        (["UNESCO"], "unesco", ["unesco"]),
        (["हिन"], "हिन्दी", []),
        (["A", "12", "-", "", " "], "A 12 - ", []),
    ],
)
def test_names_are_found_as_a_reader_would(names: list[str], text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in NameFinder(names).find(text)] == expected


def test_a_name_of_which_another_is_part_is_left_when_it_breaks_off() -> None:
    """Where the longer way ends, the automaton falls back to the name within it."""
    finder = NameFinder(["one two three four", "two three", "three five"])
    assert finder.find("one two three five") == [(8, 18)]
    assert finder.find("one two three six") == [(4, 13)]


def test_the_time_grows_with_the_text_and_not_with_its_square() -> None:
    finder = NameFinder([" ".join("a" * count) for count in range(1, 60)])
    text = " ".join("a" * 10_000)
    found = finder.find(text)
    assert sum(end - start for start, end in found) > 19_000


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["기니"], "기니는 축구에서 이겼다. 적도기니에서", ["기니"]),
        (["적도 기니"], "적도 기니에서도 이겼다", ["적도 기니"]),
        (["BTS"], "BTS는 노래한다", ["BTS"]),
        (["غينيا"], "فازت غينيا وغينيا بغينيا", ["غينيا", "غينيا", "غينيا"]),
        (["القاهرة"], "بالقاهرة للقاهرة", ["القاهرة", "لقاهرة"]),
        (["غينيا بيساو"], "وغينيا بيساو", ["غينيا بيساو"]),
        (["ירושלים"], "בירושלים ומירושלים", ["ירושלים", "ירושלים"]),
        (
            ["Guinea pig", "bus", "city", "CEO"],
            "guinea pigs in buses of CITIES, CEOs",
            ["guinea pigs", "buses", "CITIES", "CEOs"],
        ),
        (["Pari", "viru", "gla"], "Paris, virus, glass", []),
        (["US"], "it uses us", []),
        (["Guinea", "Papua New Guinea"], "file_Guinea_2.png and Papua_New_Guinea", ["Guinea", "Papua_New_Guinea"]),
        (["__Guinea__", "snake_case"], "Guinea, snake case", ["Guinea", "snake case"]),
        (
            ["Guinea", "New York"],
            "\ufeffGuinea\u200b, Gui\u00adnea in New\u200b \u2060York",
            ["Guinea", "Gui\u00adnea", "New\u200b \u2060York"],
        ),
        (
            ["Müller", "Łódź"],
            "Muller, MULLER, Mu\u0308ller in Lodz, Łódź",
            ["Muller", "MULLER", "Mu\u0308ller", "Lodz", "Łódź"],
        ),
        (["São Tomé e Príncipe"], "Sao Tome e Principe", ["Sao Tome e Principe"]),
        (["Pé", "été", "Muller", "हिन्दी"], "Pe, ete, Müller, हनद", []),
        (["❤"], "I ❤\ufe0f NY", []),
    ],
)
def test_names_are_found_with_what_languages_write_onto_them(names: list[str], text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in NameFinder(names).find(text)] == expected


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        ("particles", "기니", "기니는"),
        ("prefixes", "غينيا", "وغينيا"),
        ("plurals", "Guinea", "Guineas"),
        ("accents", "Müller", "Muller"),
    ],
)
def test_rules_can_be_turned_off(rule: str, name: str, text: str) -> None:
    others = {*RULE_NAMES} - {rule}
    assert NameFinder([name], [rule]).find(text)
    assert not NameFinder([name], others).find(text)
    with pytest.raises(MelderError, match="there is no rule 'endings' for names in texts; use particles, prefixes"):
        NameFinder([name], ["endings"])
