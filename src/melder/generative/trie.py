"""The names that decoding may answer, as a prefix tree of their tokens.

    trie, numbers = NameTrie.build(names, language_model.name_tokens)
    trie.allowed(np.array([trie.root]))      # the first tokens of names, each with its node

A name's number is its place among all names ever given to the trie; names that are written with the same tokens are
one, under the first one's number. Added names lie in a small second tree over the first, removed ones are left out on
the way; `compact` makes one tree again. Numbers never change.

A node of the second tree stands for the same prefix in both. Nodes of the first are numbered from 0, those of the
second go on from there, and a walk starts at `root`: in the second tree if there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from melder.generative.flat_trie import ROOT, FlatTrie, build_trie
from melder.generative.sequences import Encode, Sequences, encode
from melder.generative.trie_store import read_arrays, write_arrays
from melder.records import MelderError

__all__ = ["Allowed", "NameTrie"]

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
_PARTS = ("token", "first_child", "longest", "leaves", "numbers")


class Allowed(NamedTuple):
    """The m ways on from the nodes of a beam, those of the first node first, and of one node by token."""

    beam: np.ndarray  # [m] the index in the nodes that were asked for
    token: np.ndarray  # [m]
    node: np.ndarray  # [m] where the token leads


class NameTrie:
    """A trie of names that may grow and shrink; see the module's description.

    Args:
        first: The tree that was built.
        second: The tree of names that were added since.
        removed: Numbers of names of the first tree that are no more.
        end: The token with which every name ends.
        given: How many numbers were given to names.
    """

    def __init__(self, first: FlatTrie, second: FlatTrie, removed: np.ndarray, *, end: int, given: int) -> None:
        self.first, self.second, self.end, self.given = first, second, end, given
        self.removed = removed  # numbers of names of the first tree, ascending
        self._dead = _dead(first, first.leaf(removed)) if len(removed) else None
        self._below = _below(first, second)

    @classmethod
    def build(cls, names: Iterable[str], tokens: Encode) -> tuple[NameTrie, np.ndarray]:
        """The trie of names and the number [names] of each.

        Raises:
            MelderError: Names it cannot hold.
        """
        sequences, end = encode(names, tokens)
        first, leaf = build_trie(sequences, np.arange(len(sequences.lengths)))
        return cls(first, _empty(), np.zeros(0, np.int64), end=end, given=len(leaf)), first.number(leaf)

    @classmethod
    def open(cls, directory: Path) -> NameTrie:
        """A saved trie, memory-mapped.

        Raises:
            MelderError: It is missing or damaged.
        """
        return cls.of(*read_arrays(directory), directory)

    @classmethod
    def of(cls, arrays: Arrays, settings: Settings, directory: Path) -> NameTrie:
        """A trie of what was read from a directory, perhaps among other things."""
        try:
            first, second = (FlatTrie(*(arrays[f"{tree}.{key}"] for key in _PARTS)) for tree in ("first", "second"))
            return cls(first, second, arrays["removed"], end=settings["end"], given=settings["given"])
        except KeyError as error:
            raise MelderError(f"names in {directory} cannot be used: {error} is missing; write them again") from error

    def save(self, directory: Path, beside: Arrays | None = None, said: Settings | None = None) -> None:
        """Write the trie; of one that was opened there, only what has changed. Arrays and settings may go with it."""
        trees = {"first": self.first, "second": self.second}
        arrays = {f"{name}.{key}": getattr(tree, key) for name, tree in trees.items() for key in _PARTS}
        settings = {"end": self.end, "given": self.given, **(said or {})}
        write_arrays(directory, {**arrays, "removed": self.removed, **(beside or {})}, settings)

    def __len__(self) -> int:
        return len(self.first) - len(self.removed) + len(self.second)

    @property
    def root(self) -> int:
        """The node of the empty prefix."""
        return self.first.nodes if len(self.second) else ROOT

    @property
    def vocabulary(self) -> int:
        """One more than the greatest token of any name."""
        return max(self.first.vocabulary, self.second.vocabulary)

    def allowed(self, nodes: np.ndarray) -> Allowed:
        """Every token that may follow at nodes [beams], with the node it leads to."""
        beam, node = self._children_in_first(nodes)
        ways = Allowed(beam, self.first.token[node].astype(np.int64), node)
        return _merge(ways, self._children_in_second(nodes)) if len(self.second) else ways

    def longest(self, nodes: np.ndarray) -> np.ndarray:
        """At least the tokens of the longest name that goes on from each node, its prefix and its end included."""
        same = self._in_first(nodes)
        longest = np.where(same >= 0, self.first.longest[same], 0).astype(np.int64)
        added = nodes >= self.first.nodes
        longest[added] = np.maximum(longest[added], self.second.longest[nodes[added] - self.first.nodes])
        return longest

    def numbers(self, nodes: np.ndarray) -> np.ndarray:
        """The numbers of the names that end at nodes (those that the token of end leads to)."""
        numbers, added = np.empty(len(nodes), np.int64), nodes >= self.first.nodes
        numbers[~added] = self.first.number(nodes[~added])
        numbers[added] = self.second.number(nodes[added] - self.first.nodes)
        return numbers

    def live(self) -> np.ndarray:
        """The numbers of all names, ascending."""
        numbers = np.concatenate([self.first.numbers, self.second.numbers]).astype(np.int64)
        return np.setdiff1d(numbers, self.removed)

    def sequences(self, numbers: np.ndarray) -> Sequences:
        """The tokens of names by number, the end included.

        Raises:
            MelderError: A number that no name has.
        """
        leaves = [tree.leaf(np.asarray(numbers)) for tree in (self.first, self.second)]
        missing = (leaves[0] < 0) & (leaves[1] < 0) | np.isin(numbers, self.removed)
        if missing.any():
            raise MelderError(f"no name has the number {numbers[int(missing.argmax())]}; use numbers of this trie")
        parts = [tree.sequences(leaf[leaf >= 0]) for tree, leaf in zip((self.first, self.second), leaves, strict=True)]
        return Sequences.join(parts).take(np.argsort(np.argsort(leaves[0] < 0, kind="stable")))

    def add(self, names: Iterable[str], tokens: Encode) -> tuple[NameTrie, np.ndarray]:
        """The trie with more names, and the number [names] of each: a known name's own, a new one's place."""
        sequences, _ = encode(names, tokens, self.end)
        leaves = self.first.find(sequences)
        present, given = leaves >= 0, self.given + len(leaves)
        numbers = np.arange(self.given, given)
        numbers[present] = self.first.number(leaves[present])
        old = self.second.sequences(self.second.leaves)
        both = Sequences.join([old, sequences.take(np.flatnonzero(~present))])
        second, leaf = build_trie(both, np.concatenate([self.second.number(self.second.leaves), numbers[~present]]))
        numbers[~present] = second.number(leaf[len(old.lengths) :])
        return self._with(second, np.setdiff1d(self.removed, numbers), given=given), numbers

    def remove(self, numbers: np.ndarray) -> NameTrie:
        """The trie without the names of these numbers.

        Raises:
            MelderError: A number that no name has.
        """
        self.sequences(numbers)
        second = self.second
        stays = second.leaves[~np.isin(second.numbers, numbers)]
        if len(stays) < len(second):
            second, _ = build_trie(second.sequences(stays), second.number(stays))
        gone = np.asarray(numbers)[self.first.leaf(np.asarray(numbers)) >= 0]
        return self._with(second, np.union1d(self.removed, gone), given=self.given)

    def compact(self) -> NameTrie:
        """The same names under the same numbers as one tree, without traces of removed ones."""
        live = self.live()
        first, _ = build_trie(self.sequences(live), live)
        return NameTrie(first, _empty(), np.zeros(0, np.int64), end=self.end, given=self.given)

    def _with(self, second: FlatTrie, removed: np.ndarray, *, given: int) -> NameTrie:
        return NameTrie(self.first, second, removed, end=self.end, given=given)

    def _in_first(self, nodes: np.ndarray) -> np.ndarray:
        """The same prefixes in the first tree; -1 = it has none."""
        same, added = nodes.astype(np.int64), nodes >= self.first.nodes
        same[added] = self._below[same[added] - self.first.nodes]
        return same

    def _children_in_first(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        same = self._in_first(nodes)
        rows = np.flatnonzero(same >= 0)
        run, child = self.first.children(same[rows])
        if self._dead is not None:
            lives = ~self._dead[child]
            run, child = run[lives], child[lives]
        return rows[run], child

    def _children_in_second(self, nodes: np.ndarray) -> Allowed:
        rows = np.flatnonzero(nodes >= self.first.nodes)
        run, child = self.second.children(nodes[rows] - self.first.nodes)
        return Allowed(rows[run], self.second.token[child].astype(np.int64), child + self.first.nodes)


def _merge(first: Allowed, second: Allowed) -> Allowed:
    """Both trees' ways, ordered by beam and token; a token that leads on in both leads into the second."""
    both = Allowed(*(np.concatenate(pair) for pair in zip(second, first, strict=True)))
    width = int(both.token.max(initial=0)) + 1
    _, first_rows = np.unique(both.beam * width + both.token, return_index=True)
    return Allowed(*(column[first_rows] for column in both))


def _empty() -> FlatTrie:
    return build_trie(Sequences.of([]), np.zeros(0, np.int64))[0]


def _below(first: FlatTrie, second: FlatTrie) -> np.ndarray:
    """[nodes of the second] the same prefix in the first, or -1; from the root down."""
    below = np.zeros(second.nodes, np.int64)
    for start, end in pairwise(second.level_starts[1:].tolist()):
        nodes = np.arange(start, end)
        above = below[second.parents(nodes)]
        below[nodes] = np.where(above < 0, -1, first.step(np.maximum(above, ROOT), second.token[nodes]))
    return below


def _dead(tree: FlatTrie, leaves: np.ndarray) -> np.ndarray:
    """[nodes] True where no name but those that end at `leaves` goes on; from the deepest level up."""
    dead = np.zeros(tree.nodes, dtype=bool)
    dead[leaves] = True
    for end, start in pairwise(tree.level_starts[:0:-1].tolist()):
        parents, gone = np.unique(tree.parents(start + np.flatnonzero(dead[start:end])), return_counts=True)
        dead[parents[gone == tree.first_child[parents + 1] - tree.first_child[parents]]] = True
    return dead
