"""What languages write onto a name without a space: rules by which a word of a text is a name and something more.

| rule | language | what it takes off | least that must be left |
| --- | --- | --- | --- |
| `particles` | Korean | a particle behind the name: 기니는 is 기니 | 2 syllables |
| `prefixes` | Arabic, Hebrew | a conjunction, preposition or article before it: وغينيا is غينيا | 3 letters |
| `plurals` | English | -s, -es or -ies: Guineas, buses, parties | 3 letters, or capitals: CEOs |

With a fourth rule, `accents`, a name of four letters or more is also found without its diacritics: Muller is Müller.

A particle and a prefix are no part of the mention that is found, a plural's ending is. Each rule looks at one word that
stands between word boundaries, so that the time stays that of a look-up a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from melder.names import folded

__all__ = ["ACCENTS", "RULES", "RULE_NAMES", "WordForm", "particles", "plurals", "prefixes"]

# fmt: off
PARTICLES = (
    "은", "는", "이", "가", "을", "를", "의", "에", "와", "과", "도", "로", "으로", "만", "랑", "이랑", "에서",
    "에게", "께", "한테", "까지", "부터", "보다", "처럼", "마다", "조차", "마저", "이나", "나", "라도", "이라도",
    "에는", "에도", "에서는", "에서도", "에게는", "로는", "으로는", "로도", "으로도", "와는", "과는", "와의", "과의",
    "에게서", "로서", "으로서", "로써", "으로써", "라는", "이라는", "라고", "이라고", "이다",
)
# fmt: on
ARABIC_PREFIXES = ("و", "ف", "ب", "ك", "ل", "ال", "وال", "فال", "بال", "كال", "وب", "ول", "فب", "فل", "وبال")
# The article loses its first letter behind li-: للقاهرة is li- and القاهرة.
ARABIC_JOINED = {"لل": "ال", "ولل": "ال", "فلل": "ال"}
HEBREW_PREFIXES = ("ו", "ב", "ל", "מ", "ה", "ש", "כ", "וב", "ול", "ומ", "וה", "מה", "שב", "של", "שה", "לה", "בה")
NO_PLURALS = ("ss", "us", "is")  # glass, virus, Paris
SHORTEST_SYLLABLES, SHORTEST_LETTERS = 2, 3


class WordForm(NamedTuple):
    """A word without an affix.

    Attributes:
        start, end: Code points of the word that the mention keeps, counted from the word's start.
        stem: The stem ends, for names that are found in capitals only.
        key: What it is compared by.
    """

    start: int
    end: int
    stem: int
    key: str


def particles(word: str) -> Iterator[WordForm]:
    """A Korean word without the particles that it may end with.

    Args:
        word: A Korean word.

    Yields:
        The word without particles, and which of its letters that is.
    """
    if not word or not "가" <= word[-1] <= "힣":
        return
    for length in range(1, min(4, len(word) - SHORTEST_SYLLABLES) + 1):
        stem = len(word) - length
        if word[stem:] in _PARTICLES:
            yield WordForm(0, stem, stem, folded(word[:stem]))


def prefixes(word: str) -> Iterator[WordForm]:
    """An Arabic or Hebrew word without the prefixes that it may begin with.

    Args:
        word: An Arabic or Hebrew word.

    Yields:
        The word without prefixes, and which of its letters that is.
    """
    if not word or not "\u0590" <= word[0] <= "\u06ff":
        return
    for length in range(1, min(4, len(word) - SHORTEST_LETTERS) + 1):
        prefix, rest = word[:length], word[length:]
        if prefix in _PREFIXES:
            yield WordForm(length, len(word), len(word), folded(rest))
        if prefix in ARABIC_JOINED:
            yield WordForm(length - 1, len(word), len(word), folded(ARABIC_JOINED[prefix] + rest))


def plurals(word: str) -> Iterator[WordForm]:
    """An English plural's singular; the mention is the whole word.

    Args:
        word: An English word.

    Yields:
        The word in the singular, and which of its letters that is.
    """
    lower = word.lower()
    if not word.isascii() or not lower.endswith("s") or lower.endswith(NO_PLURALS):
        return
    for ending, singular in (("s", ""), ("es", ""), ("ies", "y")):
        stem = len(word) - len(ending)
        capitals = word[:stem].isupper() and word[stem:].islower()
        if lower.endswith(ending) and (stem >= SHORTEST_LETTERS or (capitals and stem > 1)):
            yield WordForm(0, len(word), stem, folded(word[:stem] + singular))


# By name; each says which other words a word of a text may stand for. Prefixes stand before a name, the others behind.
RULES: Mapping[str, Callable[[str], Iterator[WordForm]]] = {
    "particles": particles,
    "prefixes": prefixes,
    "plurals": plurals,
}
ACCENTS = "accents"
RULE_NAMES = (*RULES, ACCENTS)
_PARTICLES = frozenset(PARTICLES)
_PREFIXES = frozenset((*ARABIC_PREFIXES, *HEBREW_PREFIXES))
