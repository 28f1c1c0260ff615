"""Mention proposal: where a text names entities of a knowledge base, when nobody has said which words are meant.

Aho–Corasick (1975) over words rather than characters, since names are looked for between word boundaries only. The
automaton stays small, and each word keeps its place in the text, however case folding changes its length (ß becomes
ss, İ becomes two code points).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple

from melder.records import MelderError

__all__ = ["NameFinder"]

SHORTEST = 2  # characters of a name that is looked for, one of them a letter: the number 12 is seldom a name
LONGEST = 64  # words, signs and spaces of a name that is looked for
CAPITALS = 3  # letters at most of an acronym, which is looked for as it is written: IT is no "it"

# Scripts without spaces between words, first and last code points: each of their characters counts as a word.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
SAME = str.maketrans("‘’‐–", "''--")  # what programs write for apostrophes and hyphens


class _Word(NamedTuple):
    """A word, a sign, or a run of spaces: code points [start, end) of a text, and what they are compared by."""

    start: int
    end: int
    key: str


class NameFinder:
    """Finds names in texts. Case and the kinds of spaces, apostrophes, hyphens and composed letters do not matter.

    Immutable once made, so that threads may share it. Fulfils `melder.protocols.MentionFinder`.
    """

    reads_names = True

    def __init__(self, names: Iterable[str]) -> None:
        self._edges: dict[tuple[int, str], int] = {}  # from a state by a word to the next; state 0 is the start
        self._depth = [0]  # words on the way to each state
        self._names: dict[int, bool] = {}  # the states at which a name ends; True: found in capitals only
        for name in names:
            self._add(name)
        self._fallback = [0] * len(self._depth)  # the state of the longest proper ending that is a beginning
        self._shorter = [0] * len(self._depth)  # the next state down the fallbacks at which a name ends
        self._connect()

    @classmethod
    def open(cls, options: str = "") -> NameFinder:
        """One that knows no names yet."""
        if options:
            raise MelderError(f"--find names:{options}: names have no options; write names")
        return cls(())

    def of_names(self, names: Iterable[str]) -> NameFinder:
        return NameFinder(names)

    def find(self, text: str) -> list[tuple[int, int]]:
        """[start, end) of the mentions in order, in code points. Of those that overlap the longest stands, of equally
        long ones the first."""
        found, taken = list[tuple[int, int]](), set[int]()
        for start, end in sorted(self._matches(text), key=lambda span: (span[0] - span[1], span[0])):
            if taken.isdisjoint((start, end - 1)):  # none that is as long lies between its ends
                taken.update(range(start, end))
                found.append((start, end))
        return sorted(found)

    def _add(self, name: str) -> None:
        words = list(_words(name.strip()))
        if len(name.strip()) < SHORTEST or len(words) > LONGEST or not any(map(str.isalpha, name)):
            return
        state = 0
        for word in words:
            following = self._edges.setdefault((state, word.key), len(self._depth))
            if following == len(self._depth):
                self._depth.append(self._depth[state] + 1)
            state = following
        self._names[state] = self._names.get(state, True) and _is_acronym(name)

    def _connect(self) -> None:
        """Fill in fallbacks; that of a state needs those of all that are nearer to the start."""
        for (before, key), state in sorted(self._edges.items(), key=lambda edge: self._depth[edge[1]]):
            fallback = self._next(self._fallback[before], key) if before else 0
            self._fallback[state] = fallback
            self._shorter[state] = fallback if fallback in self._names else self._shorter[fallback]

    def _next(self, state: int, key: str) -> int:
        while state and (state, key) not in self._edges:
            state = self._fallback[state]
        return self._edges.get((state, key), 0)

    def _matches(self, text: str) -> Iterator[tuple[int, int]]:
        """All places where a name stands."""
        words, state = list(_words(text)), 0
        for last, word in enumerate(words):
            state = self._next(state, word.key)
            ending = state if state in self._names else self._shorter[state]
            while ending:
                start, end = words[last + 1 - self._depth[ending]].start, word.end
                if not self._names[ending] or text[start:end].isupper():
                    yield start, end
                ending = self._shorter[ending]


def _words(text: str) -> Iterator[_Word]:
    """The whole of a text, piece by piece."""
    start = 0
    for kind, run in groupby(text, _kind):
        characters = list(run)
        for piece in characters if kind == "alone" else ["".join(characters)]:
            yield _Word(start, start + len(piece), " " if kind == "space" else _folded(piece))
            start += len(piece)


@lru_cache(1 << 16)
def _kind(character: str) -> Literal["word", "space", "alone"]:
    """What a character makes with its like: words, runs of spaces, or nothing."""
    if character.isspace():
        return "space"
    code = ord(character)
    if any(first <= code <= last for first, last in UNSPACED):
        return "alone"
    # M: marks, with which letters are composed; Python's \w has them not
    return "word" if unicodedata.category(character)[0] in "LMN" or character == "_" else "alone"


def _folded(word: str) -> str:
    """The same for all ways to write a word or sign (Unicode's compatibility caseless matching)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold()).translate(SAME)


def _is_acronym(name: str) -> bool:
    return name.isupper() and sum(map(str.isalpha, name)) <= CAPITALS
