"""The names of a knowledge base, scored after prompts as a configuration wants it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from melder.generative.decoding import beam_search, best_names, score_names
from melder.generative.kept_names import kept_names
from melder.generative.language_model import LanguageModel
from melder.generative.model import Embedded
from melder.generative.prefilled import Prompt
from melder.generative.trie import NameTrie
from melder.methods.gemel import GEMELConfiguration

__all__ = ["NameSearch", "ScoredName"]

KEPT_FROM = 10_000  # names whose trie is worth a file: fewer are tokenised in a fraction of a second


class ScoredName(NamedTuple):
    """Places of names in the list of all, and their scores, best first; `exact` when no other name scores better."""

    names: np.ndarray
    scores: np.ndarray
    exact: bool


class NameSearch:
    """Called with n prompts, gives n `ScoredName`: all names where they are few, else the best ones.

    Args:
        directory: The trie of many names is kept for the next time, None = nowhere longest: tokens of the longest name,
            its end included.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        names: Sequence[str],
        options: GEMELConfiguration,
        directory: Path | None = None,
    ) -> None:
        self.model, self.options = language_model, options
        if directory is None or len(names) < KEPT_FROM:
            self.trie, self.numbers = NameTrie.build(names, language_model.name_tokens)
        else:
            self.trie, self.numbers = kept_names(directory, names, language_model)
        self.place = np.zeros(self.trie.given, np.int64)  # in the list of all, by number
        self.place[self.numbers] = np.arange(len(names))
        self.all = options.decoding != "beam" and len(names) <= options.all_names
        self.longest = int(self.trie.longest(np.array([self.trie.root]))[0])

    def __call__(self, prompts: Embedded) -> list[ScoredName]:
        prompt, model, options = Prompt(prompts.embeds, prompts.mask), self.model.model, self.options
        if self.all:
            return [_sorted(scores) for scores in self.every(prompts)]
        if options.decoding != "exact":
            results = beam_search(model, prompt, self.trie, beams=options.beams, score=options.score)
        else:
            most = options.most_prefixes
            results = best_names(model, prompt, self.trie, k=options.best_names, score=options.score, at_most=most)
        return [ScoredName(self.place[result.numbers], result.scores, result.exact) for result in results]

    def every(self, prompts: Embedded) -> np.ndarray:
        """[n, names] the score of every name."""
        scored = score_names(self.model.model, Prompt(prompts.embeds, prompts.mask), self.trie, self.numbers)
        return scored.of(self.options.score)

    def of(self, prompts: Embedded, names: Sequence[int]) -> np.ndarray:
        """[n, names] the log-probabilities (sums) of some of the names, by their places in the list of all."""
        chosen = self.numbers[np.array(names, np.int64)]
        return score_names(self.model.model, Prompt(prompts.embeds, prompts.mask), self.trie, chosen).sums


def _sorted(scores: np.ndarray) -> ScoredName:
    order = np.argsort(-scores, kind="stable")
    return ScoredName(order, scores[order], exact=True)
