"""Entities that share a name, in the order in which a mention means them.

A name alone cannot tell them apart, so something else orders them: a matching run where one is given, else how
probable the language model finds each one's description after the prompt and the name. Entities without a
description, whose probability would be that of nothing, come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from melder.generative.model import GenerativeModel
from melder.generative.prompt import Block, Blocks
from melder.linking.linker import MatchingLinker
from melder.records import Entity, Item, Mention

__all__ = ["Homonyms", "matching_scores"]

LONGEST = 48  # tokens of a description; the first sentence says what kind of thing it is
BETWEEN = ". "  # the name and the description


class Homonyms:
    """`ordered` is the one verb; `matching` scores entities of the same knowledge base."""

    def __init__(
        self, model: GenerativeModel, entities: Sequence[Entity], matching: MatchingLinker | None = None
    ) -> None:
        self.model, self.entities, self.matching = model, entities, matching

    def ordered(self, mention: Mention, item: Item, prompt: Blocks, name: str, rows: Sequence[int]) -> list[int]:
        """`rows`, the entities with this name, best first."""
        if self.matching is not None:
            scores = matching_scores(self.matching, mention, item, rows)
        else:
            scores = self._likelihoods(prompt, name, rows)
        order = sorted(zip(rows, scores, strict=True), key=lambda pair: -pair[1])
        return [row for row, _ in order]

    def _likelihoods(self, prompt: Blocks, name: str, entity_rows: Sequence[int]) -> list[float]:
        """The mean log-probability of the tokens of each one's description."""
        language_model = self.model.language_model
        question = prompt.blocks[-1]
        answered = Block([*question.tokens, *language_model.tokens([name + BETWEEN])[0]], question.picture)
        rows = language_model.tokens([self.entities[entity_row].description for entity_row in entity_rows])
        described = [place for place, row in enumerate(rows) if row]
        scores = [-float("inf")] * len(entity_rows)
        longer = replace(prompt, blocks=[*prompt.blocks[:-1], answered])
        for place in described:  # one at a time: homonyms are few, and prompts long
            room = self._room(longer)
            with torch.inference_mode():
                sums, counts = self.model([longer], [rows[place][: min(LONGEST, room)]])
            scores[place] = float(sums / counts)
        return scores

    def _room(self, prompt: Blocks) -> int:
        limit = self.model.language_model.limit
        return LONGEST if limit is None else max(1, limit - prompt.positions(self.model.mapper.tokens))


def matching_scores(linker: MatchingLinker, mention: Mention, item: Item, rows: Sequence[int]) -> list[float]:
    """The matching linker's scores of some of its entities, for a mention with the pictures of `item`."""
    side = linker.model.mention_side([linker.item(mention, item.images)])
    chosen = linker.source.side(torch.tensor(list(rows))).to(linker.model.device)
    with torch.inference_mode():
        scores: list[float] = linker.model.matcher.score(side, chosen).total[0].tolist()
    return scores
