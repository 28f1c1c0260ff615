"""Beam search over the names of a trie, as the published system decodes (GEMEL §3.4; 5 beams, normalised by length).

Answers what `generate(prefix_allowed_tokens_fn=…, num_beams=beams, length_penalty=1.0, early_stopping=False)` of
transformers 5 answers, which is where the rules below come from. The release that GEMEL pins (4.30.2) gives the same
first answer, which alone the published system reads; behind it its list may hold other names. Melder differs in one
thing: a prefix that is not a whole name when the tokens run out is no answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from melder.generative.found import Found, Score
from melder.generative.prefilled import PrefilledModel, Prompt
from melder.generative.prefixes import Continuations, Prefix, Prefixes, ways_on
from melder.generative.trie import NameTrie
from melder.ops.largest import largest_of_array

__all__ = ["beam_search"]


def beam_search(
    model: Any,
    prompt: Prompt,
    trie: NameTrie,
    *,
    beams: int = 5,
    score: Score = "mean",
    max_new_tokens: int | None = None,
) -> list[Found]:
    """At most `beams` names for each prompt, with at most `max_new_tokens` tokens, their end included.

    None = as long as the longest name. Published: 5 beams, the mean, 32 tokens.

    Args:
        model: A causal language model of transformers.
        prompt: Of n mentions.
        trie: Of the names.
        beams: Prefixes that are kept a mention.
        score: The sum of the tokens' log-probabilities, or their mean.
        max_new_tokens: Of an answer; None = as many as the longest name has.

    Returns:
        [n], each with the best names first.
    """
    prefixes = Prefixes(PrefilledModel(model, prompt))
    searches = [_Search(trie, beams, score, max_new_tokens) for _ in range(len(prompt))]
    rows, logits = list(range(len(prompt))), prefixes.prompted.first
    while True:
        _step([searches[row] for row in rows], logits, trie)
        rows = _still_running(rows, searches, prefixes)
        if not any(searches[row].running for row in rows):
            return [search.found() for search in searches]
        logits = prefixes.read([searches[row].running for row in rows])


def _step(searches: list[_Search], logits: Any, trie: NameTrie) -> None:
    """One more token for each search."""
    ways = ways_on(logits, trie, np.array([prefix.node for search in searches for prefix in search.running]))
    first = 0
    for search in searches:
        last = first + len(search.running)
        chosen = slice(*np.searchsorted(ways.beam, [first, last]))
        search.step(Continuations(ways.beam[chosen] - first, *(column[chosen] for column in ways[1:])))
        first = last


def _still_running(rows: list[int], searches: list[_Search], prefixes: Prefixes) -> list[int]:
    """Drop ended searches from the batch once they are half of it (what stays of the cache is copied then)."""
    running = [place for place, row in enumerate(rows) if searches[row].running]
    if not running or 2 * len(running) > len(rows):
        return rows
    prefixes.keep(np.array(running))
    return [rows[place] for place in running]


class _Search:
    """The beams of one mention."""

    def __init__(self, trie: NameTrie, beams: int, score: Score, most: int | None) -> None:
        self.trie, self.beams, self.score, self.most = trie, beams, score, most
        self.running = [Prefix(trie.root)]
        self.finished: list[tuple[float, int]] = []  # the score and the number of whole names, best first
        self.read = 0

    def step(self, ways: Continuations) -> None:
        """Go on with the best ways that do not end a name; those among the best `beams` that do are finished."""
        totals = np.array([prefix.total for prefix in self.running])[ways.beam] + ways.log_probability
        parents, self.running = self.running, []
        for rank, way in enumerate(largest_of_array(totals, 2 * self.beams)):
            parent, token, node = parents[ways.beam[way]], int(ways.token[way]), int(ways.node[way])
            if token != self.trie.end:
                self.running.append(Prefix(node, parent, token, float(totals[way])))
            elif rank < self.beams:
                number = int(self.trie.numbers(np.array([node]))[0])
                self.finished.append((self._score(float(totals[way]), parent.depth + 1), number))
        self.finished = sorted(self.finished, reverse=True, key=lambda each: each[0])[: self.beams]
        self.running = [] if self._ended() else self.running[: self.beams]
        self.read += len(self.running)

    def found(self) -> Found:
        return Found.of(self.finished, self.read, exact=False)

    def _ended(self) -> bool:
        """No running prefix scores better than the worst of enough finished names, as if it ended here."""
        if not self.running or self.running[0].depth == self.most:
            return True
        best = self._score(self.running[0].total, self.running[0].depth)
        return len(self.finished) == self.beams and best <= self.finished[-1][0]

    def _score(self, total: float, tokens: int) -> float:
        return total / tokens if self.score == "mean" else total
