"""Names as people compare them: what makes no difference, what makes a small one, and what keeps names apart."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melder.names import folded, nearest, unaccented


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Café Müller", "Cafe\u0301 Mu\u0308ller"),
        ("Guinea", "Guinea\u200b"),
        ("Guinea", "\ufeffGuinea"),
        ("Guinea", "Gui\u00adnea"),
        ("Guinea", "\u202aGuinea\u202c"),
        ("O'Neill", "O’Neill"),
        ("Côte d'Ivoire", "Côte dʼIvoire"),
        ('The "Old" Mill', "The „Old“ Mill"),
        ("Guinea-Bissau", "Guinea\u2011Bissau"),
        ("Rhein-Main", "Rhein–Main"),
        ("New York", " New\u00a0\u3000York\n"),
        ("STRASSE", "Straße"),
        ("ﬁsh", "Fish"),
        ("ＡＢＣ", "abc"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("❤", "❤\ufe0f"),
    ],
)
def test_names_are_the_same(name: str, other: str) -> None:
    assert name != other
    assert folded(name) == folded(other)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Müller", "Muller"),
        ("Łódź", "Lodz"),
        ("Αθήνα", "Αθηνα"),
        ("Артём", "Артем"),
        ("مُحَمَّد", "محمد"),
        ("İstanbul", "Istanbul"),
        ("Bjørn Ærø", "Bjorn Aero"),
        ("علی خامنه‌ای", "علي خامنه‌اي"),  # Persian and Arabic yeh
        ("ٱلْقَاهِرَة", "القاهره"),
        ("کراچی", "كراچي"),  # Urdu and Arabic kaf
        ("١٩٢٣", "1923"),
        ("۱۴۰۱ تهران", "1401 تهران"),
        ("सन् १९४७", "सन् 1947"),
        ("‹Le Monde›", "'Le Monde'"),
        ("「東京」", '"東京"'),
    ],
)
def test_names_differ_by_diacritics_alone(name: str, other: str) -> None:
    assert folded(name) != folded(other)
    assert unaccented(name) == unaccented(other)


@pytest.mark.parametrize(
    ("name", "other"), [("हिन्दी", "हनद"), ("がく", "かく"), ("ไทย", "ไท"), ("🏴\U000e0067", "🏴"), ("C++", "C")]
)
def test_names_stay_apart(name: str, other: str) -> None:
    assert unaccented(name) != unaccented(other)


@given(st.text())
def test_folding_again_changes_nothing(name: str) -> None:
    assert folded(folded(name)) == folded(name)
    assert unaccented(unaccented(name)) == unaccented(name)
    assert unaccented(folded(name)) == unaccented(name)


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("GUINEE", ["Guinée", "Guinea"]),
        ("“guinea”", ["Guinea", "Guinée"]),
        ("straße", ["STRASSE"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_the_nearest_names_come_in_their_own_spelling(name: str, offered: list[str]) -> None:
    assert nearest(name, ["Guinea", "Guinée", "STRASSE", "Togo"]) == offered
