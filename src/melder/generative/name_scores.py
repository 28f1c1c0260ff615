"""The log-probability of every given name after a prompt; what names begin with alike is read once.

All tokens are known beforehand, so a block of names is one pass of the language model over all their prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melder.generative.flat_trie import ROOT, FlatTrie, build_trie
from melder.generative.found import Score
from melder.generative.prefilled import PrefilledModel, Prompt
from melder.generative.sequences import Sequences
from melder.generative.trie import NameTrie

__all__ = ["NameScores", "score_names", "score_sequences"]

LEAST, MOST = 16, 512  # prefixes of a block: each attends to the whole block, so larger ones cost more
LOGITS = 2**25  # of one block: 128 MB in float32


@dataclass(frozen=True)
class NameScores:
    """How n prompts score m names.

    Args:
        numbers: [m], of the names in the trie.
        lengths: [m], tokens of each, with the end.
        sums: [n, m], of the tokens' log-probabilities.
    """

    numbers: np.ndarray
    lengths: np.ndarray
    sums: np.ndarray

    def of(self, score: Score) -> np.ndarray:
        """[n, m] the scores of a kind."""
        return self.sums / self.lengths if score == "mean" else self.sums


def score_names(model: Any, prompt: Prompt, trie: NameTrie, numbers: np.ndarray | None = None) -> NameScores:
    """The scores of the names of these numbers, by default of all names of the trie.

    Args:
        model: A causal language model of transformers.
        prompt: Of n mentions.
        trie: Of the names.
        numbers: Whose names are scored; None = of all.

    Returns:
        Of these.
    """
    numbers = trie.live() if numbers is None else numbers
    sequences = trie.sequences(numbers)
    return NameScores(numbers, sequences.lengths, score_sequences(model, prompt, sequences))


def score_sequences(model: Any, prompt: Prompt, sequences: Sequences) -> np.ndarray:
    """The sum of the log-probabilities of each sequence's tokens after each prompt, float64.

    Args:
        model: A causal language model of transformers.
        prompt: Of n mentions.
        sequences: Of tokens.

    Returns:
        [n, sequences].
    """
    prompted = PrefilledModel(model, prompt)
    sums = np.zeros((len(prompted), len(sequences.lengths)))
    most = min(max(LEAST, LOGITS // prompted.first.numel()), MOST)
    for block in _blocks(sequences.rows(), most):
        prompted.forget()
        sums[:, block] = _score_block(prompted, sequences.take(block))
    return sums


def _blocks(rows: list[list[int]], most: int) -> Iterator[np.ndarray]:
    """Sequences in the order of their tokens, as many at a time as have `most` different prefixes (or one)."""
    block: list[int] = []
    before: list[int] = []
    size = 0
    for place in sorted(range(len(rows)), key=rows.__getitem__):
        new = len(rows[place]) - _alike(before, rows[place])
        if block and size + new > most:
            yield np.array(block)
            block, new, size = [], len(rows[place]), 0
        block.append(place)
        before, size = rows[place], size + new
    if block:
        yield np.array(block)


def _alike(one: list[int], other: list[int]) -> int:
    """How many tokens two sequences begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _score_block(prompted: PrefilledModel, sequences: Sequences) -> np.ndarray:
    """[n, sequences] sums of log-probabilities, from one reading of all inner nodes of the block's tree."""
    tree, ends = build_trie(sequences, np.arange(len(sequences.lengths)))
    nodes = np.arange(1, tree.nodes)
    parents = tree.parents(nodes)
    inner = np.unique(parents[parents != ROOT])
    at = np.searchsorted(inner, parents)  # of each node, where its parent was read
    values = np.zeros((len(prompted), tree.nodes))
    first = parents == ROOT
    values[:, nodes[first]] = _log_probabilities(
        prompted.first[:, None], np.zeros(first.sum(), int), tree, nodes[first]
    )
    if len(inner):
        logits = prompted.read(*_pack(tree, inner, len(prompted)))
        values[:, nodes[~first]] = _log_probabilities(logits, at[~first], tree, nodes[~first])
    for node, parent in zip(nodes, parents, strict=True):
        values[:, node] += values[:, parent]
    return values[:, ends]


def _pack(tree: FlatTrie, inner: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens, depths and what each attends to, for `PrefilledModel.read`: the same for all prompts."""
    visible = np.eye(len(inner), dtype=bool)
    parents = tree.parents(inner)
    for row, (parent, above) in enumerate(zip(parents, np.searchsorted(inner, parents), strict=True)):
        if parent != ROOT:
            visible[row] |= visible[above]
    tokens = tree.token[inner].astype(np.int64)
    depths = np.searchsorted(tree.level_starts, inner, side="right") - 2
    return tuple(np.broadcast_to(array, (n, *array.shape)).copy() for array in (tokens, depths, visible))


def _log_probabilities(logits: Tensor, at: np.ndarray, tree: FlatTrie, nodes: np.ndarray) -> np.ndarray:
    """[n, nodes] of the tokens of nodes, from `logits` [n, q, vocabulary] at their parents' places `at`."""
    place = torch.from_numpy(at).to(logits.device)
    token = torch.from_numpy(tree.token[nodes].astype(np.int64)).to(logits.device)
    logits = logits.float()
    values = logits[:, place, token] - logits.logsumexp(dim=2)[:, place]
    return values.double().clamp(max=0).cpu().numpy()
