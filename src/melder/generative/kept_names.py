"""The trie of a knowledge base's names, kept in a directory from one opening to the next.

Names that were there before are not tokenised again: the trie is opened as it is when the names are the same; names
that came since are added to its second tree and names that went are removed, until what was changed is an eighth of
the trie, which is then compacted. Beside the trie lie the names themselves, in order, and the number of each.

What cannot be read is written again, and where nothing can be written, or another process is writing, the trie is
made in memory: the directory saves time, and nothing is lost with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from melder.generative.language_model import LanguageModel
from melder.generative.trie import NameTrie
from melder.generative.trie_store import read_arrays
from melder.io.locks import exclusive_lock
from melder.records import MelderError

__all__ = ["Numbered", "kept_names"]

COMPACTED = 1 / 8  # share of names added or removed from which on one tree is made again
ANEW = 1 / 2  # share of names that are new to the trie from which on it is built anew: numbers begin at 0 again
_LOCK = "lock"


class Numbered(NamedTuple):
    """A trie and the number in it of each name, in the order of the names."""

    trie: NameTrie
    numbers: np.ndarray


class _Written(NamedTuple):
    """Names as they lie on the disk: one after another in UTF-8, and where each one ends."""

    text: np.ndarray  # [bytes] uint8
    ends: np.ndarray  # [names] int64

    @classmethod
    def of(cls, names: Sequence[str]) -> _Written:
        rows = [name.encode("utf-8", "surrogatepass") for name in names]
        ends = np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)))
        return cls(np.frombuffer(b"".join(rows), np.uint8), ends)

    @property
    def digest(self) -> str:
        digest = hashlib.sha256(self.ends.tobytes())
        digest.update(self.text.tobytes())
        return digest.hexdigest()

    def names(self) -> list[str]:
        content, ends = self.text.tobytes(), self.ends.tolist()
        starts = [0, *ends[:-1]]
        return [content[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends, strict=True)]


def kept_names(directory: Path, names: Sequence[str], language_model: LanguageModel) -> Numbered:
    """The trie of different names as the language model writes them: from a directory, which is brought up to date.

    Args:
        directory: Where tries are kept.
        names: In the order of their numbers.
        language_model: Whose tokenizer writes them; one without a digest keeps nothing.

    Returns:
        The trie, and the number that each name has in it.

    Raises:
        MelderError: Names that the language model cannot write.
    """
    tokenizer = language_model.tokenizer_digest
    if tokenizer is None:
        return Numbered(*NameTrie.build(names, language_model.name_tokens))
    written = _Written.of(names)
    stored = _read(directory, tokenizer)
    if stored is not None and stored[1].digest == written.digest:
        return stored[0]
    made = _changed(*stored, names, language_model) if stored is not None else None
    if made is None:
        made = Numbered(*NameTrie.build(names, language_model.name_tokens))
    _save(directory, made, written, tokenizer)
    return made


def _read(directory: Path, tokenizer: str) -> tuple[Numbered, _Written] | None:
    """What the directory holds of this tokenizer, if it is whole."""
    try:
        arrays, settings = read_arrays(directory)
        if settings.get("tokenizer") != tokenizer:
            return None
        numbered = Numbered(NameTrie.of(arrays, settings, directory), arrays["name numbers"])
        return numbered, _Written(arrays["name texts"], arrays["name ends"])
    except (MelderError, KeyError, OSError):  # also: removed by a process that is writing
        return None


def _changed(
    before: Numbered, written: _Written, names: Sequence[str], language_model: LanguageModel
) -> Numbered | None:
    """The trie with the names that came and without those that went; None when building it anew is less work."""
    number = dict(zip(written.names(), before.numbers.tolist(), strict=True))
    came = [name for name in names if name not in number]
    if len(came) > ANEW * len(names):
        return None
    there = set(names)
    gone = [old_number for name, old_number in number.items() if name not in there]
    trie = before.trie.remove(np.array(gone, np.int64)) if gone else before.trie
    if came:
        trie, numbers = trie.add(came, language_model.name_tokens)
        number |= dict(zip(came, numbers.tolist(), strict=True))
    if len(trie.second) + len(trie.removed) > COMPACTED * len(trie):
        trie = trie.compact()
    return Numbered(trie, np.array([number[name] for name in names], np.int64))


def _save(directory: Path, numbered: Numbered, written: _Written, tokenizer: str) -> None:
    arrays = {"name texts": written.text, "name ends": written.ends, "name numbers": numbered.numbers}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(directory / _LOCK, MelderError("another process is writing"), waits=False):
            numbered.trie.save(directory, arrays, {"tokenizer": tokenizer})
    except (MelderError, OSError):  # or read-only, or full: the next opening takes as long as this one
        return
