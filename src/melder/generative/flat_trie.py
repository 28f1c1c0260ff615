"""A prefix tree of token sequences in flat arrays.

Nodes are numbered level by level, siblings by their token, so that the children of a node lie side by side and those of
node i end where those of node i + 1 begin: two numbers a node (its token, its first child) are the whole tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from melder.generative.sequences import Sequences, spread

__all__ = ["ROOT", "FlatTrie", "build_trie"]

ROOT = 0


@dataclass(frozen=True)
class FlatTrie:
    """The tree of sequences that end with a token which occurs nowhere else in them, each with a number.

    Args:
        token, first_child: [nodes], [nodes + 1]; the root's token means nothing.
        longest: [nodes] tokens of the longest sequence through a node, from the root and with the end.
        leaves, numbers: [sequences] the nodes at which sequences end, ascending, and the numbers of the sequences.
    """

    token: np.ndarray
    first_child: np.ndarray
    longest: np.ndarray
    leaves: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.leaves)

    @property
    def nodes(self) -> int:
        return len(self.token)

    @cached_property
    def vocabulary(self) -> int:
        """One more than the greatest token."""
        return int(self.token.max(initial=0)) + 1

    @cached_property
    def level_starts(self) -> np.ndarray:
        """[levels + 1] the first node of each level, and the number of nodes."""
        starts = [0, 1]
        while starts[-1] < self.nodes:
            starts.append(int(self.first_child[starts[-1]]))
        return np.array(starts)

    def children(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the children of `nodes`, one after another: the index of the parent in `nodes`, the child's node."""
        nodes = nodes.astype(np.int64)
        first = self.first_child[nodes].astype(np.int64)
        return spread(first, self.first_child[nodes + 1] - first)

    def step(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """[n] the child of each node by its token [n], or -1."""
        parents, which = np.unique(nodes, return_inverse=True)
        run, child = self.children(parents)
        if not len(child):
            return np.full(len(nodes), -1)
        width = max(self.vocabulary, int(tokens.max(initial=0)) + 1)
        keys, wanted = run * width + self.token[child], which * width + tokens  # siblings stand by token: ascending
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[place] == wanted, child[place], -1)

    def find(self, sequences: Sequences) -> np.ndarray:
        """[n] the node of each sequence of tokens, or -1."""
        starts, nodes = sequences.ends - sequences.lengths, np.full(len(sequences.lengths), ROOT)
        for depth in range(int(sequences.lengths.max(initial=0))):
            rows = np.flatnonzero((nodes >= 0) & (sequences.lengths > depth))
            nodes[rows] = self.step(nodes[rows], sequences.tokens[starts[rows] + depth])
        return nodes

    def parents(self, nodes: np.ndarray) -> np.ndarray:
        """The parents of nodes other than the root."""
        # Childless nodes have the first child of the next parent: of equal numbers, the last is the parent's.
        return np.searchsorted(self.first_child, nodes.astype(self.first_child.dtype), side="right") - 1

    def number(self, leaves: np.ndarray) -> np.ndarray:
        """The numbers of the sequences that end at leaves."""
        place = np.searchsorted(self.leaves, leaves.astype(self.leaves.dtype))
        return self.numbers[place].astype(np.int64)

    def leaf(self, numbers: np.ndarray) -> np.ndarray:
        """The leaves of sequences by their numbers; -1 where there is none."""
        if not len(self):
            return np.full(len(numbers), -1)
        order, ranked = self._by_number
        place = np.searchsorted(ranked, numbers).clip(max=len(ranked) - 1)
        return np.where(ranked[place] == numbers, self.leaves[order[place]].astype(np.int64), -1)

    def sequences(self, leaves: np.ndarray) -> Sequences:
        """The tokens from the root to each leaf."""
        lengths = np.searchsorted(self.level_starts, leaves, side="right") - 1
        ends, nodes, open_ = np.cumsum(lengths), leaves.astype(np.int64), np.arange(len(leaves))
        tokens = np.empty(int(lengths.sum()), np.int32)
        for back in range(1, int(lengths.max(initial=0)) + 1):
            open_ = open_[lengths[open_] >= back]
            tokens[ends[open_] - back] = self.token[nodes[open_]]
            nodes[open_] = self.parents(nodes[open_])
        return Sequences(tokens, lengths)

    @cached_property
    def _by_number(self) -> tuple[np.ndarray, np.ndarray]:
        """The order of the leaves by number, and the numbers so ordered."""
        order = np.argsort(self.numbers)
        return order, self.numbers[order].astype(np.int64)


def build_trie(sequences: Sequences, numbers: np.ndarray) -> tuple[FlatTrie, np.ndarray]:
    """The tree of token sequences, and the leaf of each.

    Goes level by level: sequences at the same node with the same next token go to the same child.

    Args:
        sequences: n of them.
        numbers: [n]; of equal sequences the smallest counts.

    Returns:
        The tree, and leaves [n].
    """
    starts = np.cumsum(sequences.lengths) - sequences.lengths
    leaf, open_, parent = np.zeros(len(starts), np.int64), np.arange(len(starts)), np.zeros(len(starts), np.int64)
    tokens, counts, levels = [np.zeros(1, np.int64)], [], [0, 1]
    width = int(sequences.tokens.max(initial=0)) + 1
    while len(open_):
        depth = len(tokens)
        keys = parent * width + sequences.tokens[starts[open_] + depth - 1]
        keys, place = np.unique(keys, return_inverse=True)
        counts.append(np.bincount(keys // width, minlength=len(tokens[-1])))
        tokens.append(keys % width)
        ends = sequences.lengths[open_] == depth
        leaf[open_[ends]] = place[ends] + levels[-1]
        open_, parent = open_[~ends], place[~ends]
        levels.append(levels[-1] + len(keys))
    first = 1 + np.cumsum(np.concatenate([[0], *counts, np.zeros(len(tokens[-1]), np.int64)]))
    leaves, named = _least(leaf, numbers)
    arrays = (np.concatenate(tokens), first, _longest(first, levels), leaves, named)
    return FlatTrie(*map(_smallest, arrays)), leaf


def _smallest(array: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 up in the smallest type that holds them."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))


def _least(leaf: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different leaves, ascending, each with the smallest of its numbers."""
    order = np.lexsort((number, leaf))
    leaf, number = leaf[order], number[order]
    first = np.flatnonzero(np.diff(leaf, prepend=-1))
    return leaf[first], number[first]


def _longest(first: np.ndarray, levels: list[int]) -> np.ndarray:
    """The greatest depth at or below each node, from the deepest level up; `levels` are the levels' first nodes."""
    depths = np.repeat(np.arange(len(levels) - 1), np.diff(levels))
    for end, start in pairwise(levels[-2::-1]):
        inner = start + np.flatnonzero(first[start:end] < first[start + 1 : end + 1])
        if len(inner):
            depths[inner] = np.maximum.reduceat(depths[: first[end]], first[inner])
    return depths
