"""The best names of a trie after a prompt, exactly: best-first search with a bound (branch and bound).

No name that starts with a prefix scores better than the prefix would if all that follows were certain: for `sum` its
own sum so far, for `mean` that sum divided by the tokens of the longest name through its node (log-probabilities are
negative, so more tokens make a better mean). Prefixes are read in the order of these bounds until none is better than
the k-th best whole name.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np

from melder.generative.beam_search import beam_search
from melder.generative.found import Found, Score
from melder.generative.prefilled import PrefilledModel, Prompt
from melder.generative.prefixes import Continuations, Prefix, Prefixes, ways_on
from melder.generative.trie import NameTrie

__all__ = ["best_names"]

LEAST, MOST = 4, 64  # prefixes of a mention that are read together
SHARE = 4  # a quarter of those read before: what is read in vain stays a fraction
LOGITS = 2**25  # of one reading: 128 MB in float32
BEAMS = 5  # at least, for what is given up


def best_names(
    model: Any, prompt: Prompt, trie: NameTrie, *, k: int = 10, score: Score = "mean", at_most: int | None = None
) -> list[Found]:
    """The best names for each prompt (all, if there are fewer).

    A language model to which all names are alike makes the search read nearly all of them; one that would go beyond
    `at_most` is given up, and answers the best of what it found and of what beam search finds, with `exact` false.

    Args:
        model: A causal language model of transformers.
        prompt: Of n mentions.
        trie: Of the names.
        k: How many, at least 1.
        score: The sum of the tokens' log-probabilities, or their mean.
        at_most: Prefixes to read for one mention; None = as many as it takes.

    Returns:
        [n], each with the best names first.
    """
    searches = [_Search(trie, k, score, at_most) for _ in range(len(prompt))]
    _search_all(searches, Prefixes(PrefilledModel(model, prompt)), trie)
    results = [search.found() for search in searches]
    given_up = [row for row, result in enumerate(results) if not result.exact]
    if given_up:
        beams = beam_search(model, prompt.take(given_up), trie, beams=max(k, BEAMS), score=score)
        for row, other in zip(given_up, beams, strict=True):
            results[row] = results[row].with_those(other, k)
    return results


def _search_all(searches: list[_Search], prefixes: Prefixes, trie: NameTrie) -> None:
    rows, logits = list(range(len(searches))), prefixes.prompted.first
    wanted = [[Prefix(trie.root)] for _ in searches]
    while True:
        _open([searches[row] for row in rows], wanted, logits, trie)
        most = max(1, LOGITS // (len(rows) * logits.shape[1]))
        wanted = [searches[row].next(most) for row in rows]
        rows, wanted = _still_searching(rows, wanted, prefixes)
        if not any(wanted):
            return
        logits = prefixes.read(wanted)


def _open(searches: list[_Search], wanted: list[list[Prefix]], logits: Any, trie: NameTrie) -> None:
    """Give each search the ways on from the prefixes that were read for it."""
    parents = [(search, prefix) for search, prefix_list in zip(searches, wanted, strict=True) for prefix in prefix_list]
    ways = ways_on(logits, trie, np.array([prefix.node for _, prefix in parents]))
    starts = np.searchsorted(ways.beam, np.arange(len(parents) + 1))
    for (search, prefix), start, end in zip(parents, starts[:-1], starts[1:], strict=True):
        search.open(prefix, Continuations(*(column[start:end] for column in ways)))


def _still_searching(
    rows: list[int], wanted: list[list[Prefix]], prefixes: Prefixes
) -> tuple[list[int], list[list[Prefix]]]:
    """Drop ended searches from the batch once they are half of it (what stays of the cache is copied then)."""
    searching = [place for place, prefix_list in enumerate(wanted) if prefix_list]
    if not searching or 2 * len(searching) > len(rows):
        return rows, wanted
    prefixes.keep(np.array(searching))
    return [rows[place] for place in searching], [wanted[place] for place in searching]


class _Siblings(NamedTuple):
    """The ways on from one prefix that do not end a name, by falling bound; made into prefixes one by one."""

    parent: Prefix
    bound: np.ndarray
    token: np.ndarray
    node: np.ndarray
    total: np.ndarray


class _Search:
    """The search for one mention: prefixes to read by bound, and the best whole names so far."""

    def __init__(self, trie: NameTrie, k: int, score: Score, at_most: int | None) -> None:
        self.trie, self.k, self.score = trie, k, score
        self.at_most = np.inf if at_most is None else at_most
        self.best: list[tuple[float, int]] = []  # a heap of (score, -number): the worst is its top
        self.frontier: list[tuple[float, int, int, _Siblings]] = []  # a heap of (-bound, opened, sibling, siblings)
        self.opened = self.read = 0

    def open(self, prefix: Prefix, ways: Continuations) -> None:
        """Whole names among the ways on are scored, the others wait."""
        totals = prefix.total + ways.log_probability
        ends = ways.token == self.trie.end
        for total, number in zip(totals[ends], self.trie.numbers(ways.node[ends]), strict=True):
            self._finish(float(total) / self._length(prefix.depth + 1), int(number))
        token, node, total = ways.token[~ends], ways.node[~ends], totals[~ends]
        bound = total / (self.trie.longest(node) if self.score == "mean" else 1)
        order = np.argsort(-bound, kind="stable")
        order = order[bound[order] > self._worst()]
        self.opened += 1
        self._push(0, _Siblings(prefix, bound[order], token[order], node[order], total[order]), self.opened)

    def next(self, most: int) -> list[Prefix]:
        """The prefixes to read next, none when no name can be better than the k best."""
        chosen: list[Prefix] = []
        width = min(max(LEAST, self.read // SHARE), MOST, most, self.at_most - self.read)
        while len(chosen) < width and self._goes_on():
            _, opened, place, siblings = heapq.heappop(self.frontier)
            self._push(place + 1, siblings, opened)
            token, node, total = (column[place].item() for column in (siblings.token, siblings.node, siblings.total))
            chosen.append(Prefix(node, siblings.parent, token, total))
        self.read += len(chosen)
        return chosen

    def found(self) -> Found:
        return Found.of([(score, -number) for score, number in self.best], self.read, exact=not self._goes_on())

    def _goes_on(self) -> bool:
        """A prefix that was not read may still lead to a name among the k best."""
        return bool(self.frontier) and -self.frontier[0][0] > self._worst()

    def _push(self, place: int, siblings: _Siblings, opened: int) -> None:
        if place < len(siblings.bound):
            heapq.heappush(self.frontier, (-float(siblings.bound[place]), opened, place, siblings))

    def _finish(self, score: float, number: int) -> None:
        push = heapq.heappush if len(self.best) < self.k else heapq.heappushpop
        push(self.best, (score, -number))

    def _worst(self) -> float:
        """What a name must score more than to be among the k best."""
        return self.best[0][0] if len(self.best) == self.k else -np.inf

    def _length(self, tokens: int) -> int:
        return tokens if self.score == "mean" else 1
