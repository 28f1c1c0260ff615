"""GEMEL as a second stage: the log-probabilities of the candidates' names."""

from __future__ import annotations

from collections.abc import Sequence

from melder.languages import Languages
from melder.linking.generative import GenerativeLinker
from melder.linking.second_stage import Opinion
from melder.records import Entity, Item, Mention

__all__ = ["NamesStage"]


class NamesStage:
    """The log-probability of each candidate's name, the best of its names, by a linker that writes names.

    An entity without a name has none. Fulfils `melder.linking.second_stage.SecondStage`.

    Args:
        generative: The linker that writes names, over the entities of the first stage; it is closed with the stage.
    """

    name = "generative"
    at_once = 64  # mentions, whose pictures are encoded together

    def __init__(self, generative: GenerativeLinker) -> None:
        self.reader = self.generative = generative

    def opinions(
        self, mentions: Sequence[Mention], items: Sequence[Item], candidates: Sequence[Sequence[Entity]]
    ) -> list[Opinion]:
        rows = [[self.generative.row_of[entity.id] for entity in entities] for entities in candidates]
        return [Opinion(sums) for sums in self.generative.log_probabilities(mentions, items, rows)]

    def name_in(self, languages: Languages) -> None:
        self.generative.name_in(languages)

    def close(self) -> None:
        self.generative.close()
