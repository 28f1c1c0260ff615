"""Mention proposal: where a text names entities of a knowledge base, when nobody has said which words are meant.

Aho–Corasick (1975) over words rather than characters, since names are looked for between word boundaries only. The
automaton stays small, and each word keeps its place in the text, however case folding changes its length (ß becomes
ss, İ becomes two code points). Names are compared as everywhere (melder/names.py), and what some languages write onto
a name is taken off by rules (melder/mentions/affixes.py).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple

from melder.mentions.affixes import ACCENTS, RULE_NAMES, RULES, WordForm
from melder.names import INVISIBLE, folded, unaccented
from melder.records import MelderError

__all__ = ["NameFinder"]

SHORTEST = 2  # characters of a name that is looked for, one of them a letter: the number 12 is seldom a name
LONGEST = 64  # words, signs and spaces of a name that is looked for
SHORTEST_PLAIN = 4  # letters of a name that is looked for without its diacritics
CAPITALS = 3  # letters at most of an acronym, which is looked for as it is written: IT is no "it"

# Scripts without spaces between words, first and last code points: each of their characters counts as a word.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # Katakana of half the width
    (0x20000, 0x3FFFF),
)
_VOICED = "\u3099\u309a\uff9e\uff9f"  # signs of a syllable's voice, which stand behind it: か and ゙ are が
_INVISIBLE = "".join(sorted(INVISIBLE))
_SURROUNDING = _INVISIBLE + "_" + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


class _Word(NamedTuple):
    """A word, a sign, or a run of spaces: code points [start, end) of a text, and what they are compared by."""

    start: int
    end: int
    key: str


class NameFinder:
    """Finds names in texts. What does not matter between names (melder/names.py) does not matter here; `_` is a space.

    Immutable once made, so that threads may share it. Fulfils `melder.protocols.MentionFinder`.

    Args:
        names: what is looked for
        rules: of `melder.mentions.affixes`, by name; none = only names that stand for themselves are found

    Raises:
        MelderError: there is no such rule
    """

    reads_names = True

    def __init__(self, names: Iterable[str], rules: Collection[str] = RULE_NAMES) -> None:
        if unknown := sorted({*rules} - {*RULE_NAMES}):
            listed = ", ".join(RULE_NAMES)
            raise MelderError(f"there is no rule {unknown[0]!r} for names in texts; use {listed}, or none")
        self.rules = tuple(rules)
        self._endings = _cached([rule for name, rule in RULES.items() if name in rules and name != "prefixes"])
        self._beginnings = _cached([rule for name, rule in RULES.items() if name in rules and name == "prefixes"])
        self._edges: dict[tuple[int, str], int] = {}  # from a state by a word to the next; state 0 is the start
        self._depth = [0]  # words on the way to each state
        self._names: dict[int, bool] = {}  # the states at which a name ends; True: found in capitals only
        for name in names:
            self._add(name)
            if ACCENTS in rules and not name.isascii() and (plain := _plain(name)) is not None:
                self._add(plain)
        self._fallback = [0] * len(self._depth)  # the state of the longest proper ending that is a beginning
        self._shorter = [0] * len(self._depth)  # the next state down the fallbacks at which a name ends
        self._connect()

    @classmethod
    def open(cls, options: str = "") -> NameFinder:
        """One that knows no names yet.

        Args:
            options: the rules to use, with commas between them; "none", or all of them by default.

        Raises:
            MelderError: there is no such rule.
        """
        if not options:
            return cls(())
        return cls((), () if options == "none" else tuple(rule.strip() for rule in options.split(",")))

    def of_names(self, names: Iterable[str]) -> NameFinder:
        """The same for these names."""
        return NameFinder(names, self.rules)

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
        stripped = name.strip(_SURROUNDING)
        words = list(_words(stripped))
        if len(stripped) < SHORTEST or len(words) > LONGEST or not any(map(str.isalpha, name)):
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
        words, state, prefixed = list(_words(text)), 0, list[_Beginning]()
        for last, word in enumerate(words):
            piece = text[word.start : word.end]
            for form in self._endings(piece):
                yield from self._ended(text, words, last, self._next(state, form.key), form)
                yield from self._ended_prefixed(text, word, self._followed(prefixed, form.key), form)
            state = self._next(state, word.key)
            prefixed = self._followed(prefixed, word.key) if prefixed else []
            prefixed += self._begun(piece, word)
            if state or prefixed:
                whole = WordForm(0, len(piece), len(piece), word.key)
                yield from self._ended(text, words, last, state, whole)
                yield from self._ended_prefixed(text, word, prefixed, whole)

    def _ended(self, text: str, words: list[_Word], last: int, state: int, form: WordForm) -> Iterator[tuple[int, int]]:
        """The names that end in word `last`, which is taken in this form, and lead to this state."""
        ending = state if state in self._names else self._shorter[state]
        while ending:
            start = words[last + 1 - self._depth[ending]].start
            if not self._names[ending] or text[start : words[last].start + form.stem].isupper():
                yield start, words[last].start + form.end
            ending = self._shorter[ending]

    def _begun(self, piece: str, word: _Word) -> list[_Beginning]:
        """Names whose first word may be this one without what stands before it."""
        forms = ((form, self._edges.get((0, form.key))) for form in self._beginnings(piece))
        return [_Beginning(state, word.start + form.start) for form, state in forms if state]

    def _followed(self, beginnings: list[_Beginning], key: str) -> list[_Beginning]:
        """Those of the names begun that go on with this word."""
        states = ((beginning, self._edges.get((beginning.state, key))) for beginning in beginnings)
        return [beginning._replace(state=state) for beginning, state in states if state]

    def _ended_prefixed(
        self, text: str, word: _Word, beginnings: list[_Beginning], form: WordForm
    ) -> Iterator[tuple[int, int]]:
        for state, start in beginnings:
            if state in self._names and (not self._names[state] or text[start : word.start + form.stem].isupper()):
                yield start, word.start + form.end


class _Beginning(NamedTuple):
    """A name that began behind a prefix: the state that it has led to, and where in the text it starts."""

    state: int
    start: int


def _cached(rules: Sequence[Callable[[str], Iterator[WordForm]]]) -> Callable[[str], tuple[WordForm, ...]]:
    """All forms of a word; texts repeat their words."""
    return lru_cache(1 << 14)(lambda word: tuple(form for rule in rules for form in rule(word)))


def _words(text: str) -> Iterator[_Word]:
    """The whole of a text, piece by piece, without what is invisible at the ends of words or between them."""
    start, ends_in_space = 0, False
    for kind, run in groupby(text, _kind):
        whole = "".join(run)
        for piece in _syllables(whole) if kind == "alone" else [whole]:
            first = start + len(piece) - len(piece.lstrip(_INVISIBLE))
            last = start + len(piece.rstrip(_INVISIBLE))
            if first < last and not (kind == "space" and ends_in_space):
                yield _Word(first, last, " " if kind == "space" else folded(piece))
                ends_in_space = kind == "space"
            start += len(piece)


def _syllables(text: str) -> Iterator[str]:
    """The characters of a text, each with the signs that belong to it."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or text[place] not in _VOICED:
            yield text[start:place]
            start = place


@lru_cache(1 << 16)
def _kind(character: str) -> Literal["word", "space", "alone"]:
    """What a character makes with its like: words, runs of spaces, or nothing."""
    if character.isspace() or character == "_":
        return "space"
    if character in INVISIBLE:
        return "word"
    code = ord(character)
    if any(first <= code <= last for first, last in UNSPACED):
        return "alone"
    # M: marks, with which letters are composed; Python's \w has them not
    return "word" if unicodedata.category(character)[0] in "LMN" else "alone"


def _plain(name: str) -> str | None:
    """The name without its diacritics; None where it has none, or is so short that this is another word."""
    plain = unaccented(name)
    return plain if plain != folded(name) and sum(map(str.isalpha, plain)) >= SHORTEST_PLAIN else None


def _is_acronym(name: str) -> bool:
    return name.isupper() and sum(map(str.isalpha, name)) <= CAPITALS
