"""Names as people compare them: the one function by which every part of Melder decides whether two are the same.

`folded` takes away what a reader does not see or does not mind: composed against decomposed letters and compatibility
forms (Unicode NFKC), invisible marks, the kinds of quotes and hyphens, case, and white space. `unaccented` also takes
away what a reader sees but a keyboard may lack: diacritics. An exact form is better than that one, and that one better
than none. What is shown is always the name as it was given.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["INVISIBLE", "folded", "nearest", "unaccented"]

# Marks without a shape of their own, first and last code points: the soft hyphen, joiners and zero-width spaces, marks
# of direction, the word joiner, variation selectors, the byte order mark. Tag characters stay: flags differ by them.
_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD),
    (0x061C, 0x061C),
    (0x180B, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
)
INVISIBLE = frozenset(chr(code) for first, last in _INVISIBLE_RANGES for code in range(first, last + 1))

_SIGNS = str.maketrans(
    dict.fromkeys(INVISIBLE)
    | dict.fromkeys("‘’‚‛ʹʻʼʽˈ′‵`´\u1ffd＇ꞌ", "'")
    | dict.fromkeys("“”„‟″‶«»〝〞＂", '"')
    | dict.fromkeys("‐‑‒–—―−⁃﹘﹣－", "-")
)

# Letters with a stroke or a ligature, which Unicode does not take apart, and others that stand for each other.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "n", "æ": "ae", "œ": "oe", "þ": "th"}
    # Letters of Arabic that Persian, Urdu and careless typing write otherwise; signs of quotation, points, strokes.
    | {"ک": "ك", "ی": "ي", "ى": "ي", "ہ": "ه", "ھ": "ه", "ة": "ه", "ٱ": "ا"}
    | {"‹": "'", "›": "'", "「": '"', "」": '"', "『": '"', "』": '"', "・": "·", "⁄": "/"}
)
# Points of Hebrew and Arabic, which are left out in most texts: first and last code points.
_POINTS = ((0x0591, 0x05C7), (0x064B, 0x0655), (0x0670, 0x0670), (0x0640, 0x0640))
LONGEST = 200  # characters of a name that others are compared with to find what was meant
_ALPHABETS = ("LATIN", "GREEK", "CYRILLIC")  # whose letters carry marks that may be left out


def folded(name: str) -> str:
    """A name by what it is compared with others: two names are the same when this gives the same for both.

    Args:
        name: as it was given

    Returns:
        the name in NFKC, without invisible marks, with straight quotes and hyphens, case folded, with single spaces;
        empty for a name of such marks and spaces alone
    """
    if name.isascii():
        return " ".join(name.replace("`", "'").casefold().split())
    caseless = unicodedata.normalize("NFKC", name.translate(_SIGNS)).casefold()
    return " ".join(unicodedata.normalize("NFKC", caseless).translate(_SIGNS).split())


def unaccented(name: str) -> str:
    """The folded name without diacritics: those of Latin, Greek and Cyrillic letters, and the points of Hebrew and
    Arabic. In other scripts marks are letters, and stay. Digits of all scripts are one, and so are the forms of Arabic
    letters in Arabic, Persian and Urdu.

    Args:
        name: as it was given, or folded

    Returns:
        what `folded` gives, with each letter in its plain form
    """
    whole = folded(name)
    if whole.isascii():
        return whole
    decomposed = unicodedata.normalize("NFD", whole)
    plain, base = list[str](), ""
    for character in decomposed:
        mark = unicodedata.combining(character)
        base = base if mark else character
        if not (mark and _carries_marks(base)) and not _is_point(character):
            plain.append(_digit(character))
    return unicodedata.normalize("NFC", "".join(plain)).translate(_LETTERS)


@lru_cache(1 << 12)
def _carries_marks(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(_ALPHABETS) if letter else False


def _digit(character: str) -> str:
    """A digit of whichever script as ours, other characters as they are."""
    value = None if character.isascii() else unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _is_point(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _POINTS)


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """What somebody who wrote a name that there is not may have meant, in its own spelling.

    Args:
        name: as it was given
        known: the names that there are
        most: how many of them at most

    Returns:
        those that look most like it, the best first; none where none does
    """
    if len(name) > LONGEST:
        return []
    spelt = {folded(each): each for each in known}
    return [spelt[each] for each in difflib.get_close_matches(folded(name), spelt, n=most)]
