"""The names of a knowledge base, scored after prompts as a configuration wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from melder.generative.decoding import beam_search, best_names, score_names
from melder.generative.language_model import LanguageModel
from melder.generative.model import Embedded
from melder.generative.prompted import Prompt
from melder.generative.trie import NameTrie
from melder.methods.gemel import GEMELConfiguration

__all__ = ["NameSearch", "Scored"]


class Scored(NamedTuple):
    """Places of names in the list of all, and their scores, best first."""

    names: np.ndarray
    scores: np.ndarray


class NameSearch:
    """Called with n prompts, gives n `Scored`: all names where they are few, else the best ones.

    longest: tokens of the longest name, its end included
    """

    def __init__(self, language_model: LanguageModel, names: Sequence[str], options: GEMELConfiguration) -> None:
        self.model, self.options = language_model, options
        self.trie, self.numbers = NameTrie.build(names, language_model.name_tokens)
        self.all = options.decoding == "exact" and len(names) <= options.all_names
        self.longest = int(self.trie.longest(np.array([self.trie.root]))[0])

    def __call__(self, prompts: Embedded) -> list[Scored]:
        prompt, model, options = Prompt(prompts.embeds, prompts.mask), self.model.model, self.options
        if self.all:
            return [_sorted(scores) for scores in self.every(prompts)]
        if options.decoding == "beam":
            found = beam_search(model, prompt, self.trie, beams=options.beams, score=options.score)
        else:
            found = best_names(model, prompt, self.trie, k=options.best_names, score=options.score)
        return [Scored(each.numbers, each.scores) for each in found]

    def every(self, prompts: Embedded) -> np.ndarray:
        """[n, names] the score of every name."""
        scored = score_names(self.model.model, Prompt(prompts.embeds, prompts.mask), self.trie, self.numbers)
        return scored.of(self.options.score)

    def of(self, prompts: Embedded, names: Sequence[int]) -> np.ndarray:
        """[n, names] the log-probabilities (sums) of some of the names, by their places in the list of all."""
        chosen = self.numbers[np.array(names, np.int64)]
        return score_names(self.model.model, Prompt(prompts.embeds, prompts.mask), self.trie, chosen).sums


def _sorted(scores: np.ndarray) -> Scored:
    order = np.argsort(-scores, kind="stable")
    return Scored(order, scores[order])
