"""Many token sequences end to end in one array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from melder.records import MelderError

__all__ = ["Encode", "Sequences", "encode", "spread"]

Encode = Callable[[list[str]], list[list[int]]]  # names to token ids, the token of end last
AT_ONCE = 50_000  # names that are encoded together: few enough for their lists of ids not to fill the memory


class Sequences(NamedTuple):
    """n sequences of tokens."""

    tokens: np.ndarray  # [the sum of the lengths] int32
    lengths: np.ndarray  # [n] int64

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Sequences:
        """Sequences from lists of tokens."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths)

    @classmethod
    def join(cls, parts: Sequence[Sequences]) -> Sequences:
        """All sequences of at least one part, one part after another."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    @property
    def ends(self) -> np.ndarray:
        """[n] where the sequence after each begins."""
        return np.cumsum(self.lengths)

    def rows(self) -> list[list[int]]:
        """The sequences as lists."""
        return [row.tolist() for row in np.split(self.tokens, self.ends[:-1])] if len(self.lengths) else []

    def take(self, order: np.ndarray) -> Sequences:
        """The sequences at these places, in this order."""
        _, index = spread((self.ends - self.lengths)[order], self.lengths[order])
        return Sequences(self.tokens[index], self.lengths[order])


def spread(first: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers in runs, one after another.

    Args:
        first: [n], where each run begins.
        counts: [n], how many numbers it has.

    Returns:
        Of each number its run, and the number itself.
    """
    run = np.repeat(np.arange(len(counts)), counts)
    return run, np.arange(len(run)) + np.repeat(first - (np.cumsum(counts) - counts), counts)


def encode(names: Iterable[str], tokens: Encode, end: int | None = None) -> tuple[Sequences, int]:
    """The token sequences of names, and the token of end.

    Args:
        names: In order, asked for as they are encoded.
        tokens: Of some names.
        end: The token of end; None = the one that the last name ends with.

    Returns:
        Both.

    Raises:
        MelderError: A name has no tokens before its end, or the token of end elsewhere.
    """
    source, parts = iter(names), [Sequences.of([])]
    while batch := list(islice(source, AT_ONCE)):
        parts.append(Sequences.of(tokens(batch)))
    sequences = Sequences.join(parts)
    if end is None:
        if not len(sequences.tokens):
            raise MelderError("there are no names to decode; give at least one")
        end = int(sequences.tokens[-1])
    _check(sequences, end)
    return sequences, end


def _check(sequences: Sequences, end: int) -> None:
    """Every sequence has its only token of end at its end, behind another token."""
    wrong = sequences.lengths < 2
    last = sequences.ends[~wrong] - 1
    wrong[~wrong] = sequences.tokens[last] != end
    within = sequences.tokens == end
    within[last] = False
    wrong[np.searchsorted(sequences.ends, np.flatnonzero(within), side="right")] = True
    if wrong.any():
        raise MelderError(
            f"name {int(wrong.argmax()) + 1:,} has no tokens, or the token of end ({end}) elsewhere than at its end; "
            "leave it out or write it otherwise"
        )
