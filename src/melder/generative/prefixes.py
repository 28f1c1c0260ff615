"""Prefixes of names that are read after the prompts of a batch, each only once while the cache has room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from melder.generative.prefilled import PrefilledModel
from melder.generative.trie import NameTrie
from melder.records import MelderError

__all__ = ["Continuations", "Prefix", "Prefixes", "ways_on"]

ROOM = 1024  # positions after the prompts; beyond it all are forgotten, and read again where they are wanted again


class Prefix:
    """The tokens that lead to a node of the trie; none at its root.

    Args:
        total: Their log-probability; depth: their number places: where they lie in the cache, if they were read in its
            present turn.
    """

    __slots__ = ("depth", "node", "parent", "places", "token", "total", "turn")

    def __init__(self, node: int, parent: Prefix | None = None, token: int = -1, total: float = 0.0) -> None:
        self.node, self.parent, self.token, self.total = node, parent, token, total
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.places: list[int] = []
        self.turn = -1


class Prefixes:
    """Reads prefixes of names after prompts.

    Args:
        prompted: The language model after these.
    """

    def __init__(self, prompted: PrefilledModel) -> None:
        self.prompted = prompted
        self._turn = 0  # how often everything was forgotten

    def read(self, wanted: Sequence[Sequence[Prefix]]) -> Tensor:
        """Logits [prefixes, vocabulary] after each of the wanted prefixes of each mention (not the empty prefix).

        A mention may want none, but not all mentions.
        """
        new = [self._unread(prefixes) for prefixes in wanted]
        if self.prompted.added + max(map(len, new)) > ROOM and self.prompted.added:
            self.prompted.forget()
            self._turn += 1
            new = [self._unread(prefixes) for prefixes in wanted]
        logits = self.prompted.read(*self._pack(new))
        row = [row for row, prefixes in enumerate(wanted) for _ in prefixes]
        column = [new[row].index(prefix) for row, prefixes in enumerate(wanted) for prefix in prefixes]
        return logits[torch.tensor(row, device=logits.device), torch.tensor(column, device=logits.device)]

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some of the mentions only."""
        self.prompted.keep(rows)

    def _unread(self, prefixes: Sequence[Prefix]) -> list[Prefix]:
        """The prefixes, and before each those of its own that are not in the cache."""
        unread: dict[Prefix, None] = {}
        for prefix in prefixes:
            line, at = [prefix], prefix.parent
            while at is not None and at.depth and at.turn != self._turn:
                line.append(at)
                at = at.parent
            unread |= dict.fromkeys(reversed(line))
        return list(unread)

    def _pack(self, new: list[list[Prefix]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens, depths and what each attends to, for `PrefilledModel.read`; tells prefixes their places."""
        n, width, added = len(new), max(map(len, new)), self.prompted.added
        tokens, depths = np.zeros((n, width), np.int64), np.zeros((n, width), np.int64)
        visible = np.zeros((n, width, added + width), dtype=bool)
        for row, prefixes in enumerate(new):
            for column, prefix in enumerate(prefixes):
                before = prefix.parent.places if prefix.parent is not None else []
                prefix.places, prefix.turn = [*before, added + column], self._turn
                tokens[row, column], depths[row, column] = prefix.token, prefix.depth - 1
                visible[row, column, prefix.places] = True
        return tokens, depths, visible


class Continuations(NamedTuple):
    """The m ways on from prefixes, as in `Allowed`, with the log-probability of each."""

    beam: np.ndarray
    token: np.ndarray
    node: np.ndarray
    log_probability: np.ndarray  # [m] float64, 0 at most; over the whole vocabulary, not only over what is allowed


def ways_on(logits: Tensor, trie: NameTrie, nodes: np.ndarray) -> Continuations:
    """How the trie goes on from some nodes.

    Args:
        logits: [beams, vocabulary], of the language model there.
        trie: Of the names.
        nodes: [beams], of the trie.

    Returns:
        Children and their log-probabilities, whose sum over children and other tokens is 1.

    Raises:
        MelderError: The language model gave no numbers, or has fewer tokens than the names.
    """
    if trie.vocabulary > logits.shape[1]:
        raise MelderError(
            f"names have tokens up to {trie.vocabulary - 1:,}, the language model has {logits.shape[1]:,} tokens; "
            "write the names with its own tokenizer"
        )
    allowed = trie.allowed(nodes)
    beam, token = (torch.from_numpy(index).to(logits.device) for index in (allowed.beam, allowed.token))
    logits = logits.float()
    values = (logits[beam, token] - logits.logsumexp(dim=1)[beam]).double().clamp(max=0).cpu().numpy()
    if np.isnan(values).any():
        raise MelderError("the language model's scores are not numbers; load it in float32 or bf16")
    return Continuations(*allowed, values)
