"""Learning by a linker that is open: its knowledge base is changed on the disk, and it answers with that at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melder.building.learning import Labelled, Learned, learn, unknown_answers, with_new
from melder.data.mention_inputs import is_single, read_mention, read_mentions
from melder.kb import open_knowledge_base
from melder.kb.exemplars import Exemplars
from melder.linking.linker import Answering
from melder.records import BadData, MelderError
from melder.runs.model import Model
from melder.search.entity_store import EntityStore
from melder.search.exemplars.memory import ExemplarMemory

__all__ = ["Learning"]


class Learning(Answering):
    """What a linker that compares sides makes of exemplars."""

    learns = True
    model: Model
    source: EntityStore
    knowledge_base: Any
    _exemplars: Exemplars
    _memory: ExemplarMemory | None

    @property
    def exemplars(self) -> Exemplars:
        """What was learned from labelled mentions; of a data set only as long as this linker lives."""
        return self._exemplars

    @exemplars.setter
    def exemplars(self, exemplars: Exemplars) -> None:
        self._exemplars, self._memory = exemplars, None

    @property
    def memory(self) -> ExemplarMemory | None:
        """The exemplars as evidence; None without any. Made when it is first asked for."""
        if self._memory is None and len(self._exemplars):
            rows = self.source.rows(list({record.entity for record in self._exemplars.records}))
            self._memory = ExemplarMemory(self._exemplars, rows) if rows else None
        return self._memory

    def learn(
        self, mentions: Any, answer: str | None = None, *, mention: str | None = None, image: Any = None
    ) -> Learned:
        """Learn from mentions whose entities are known, without training: they become exemplars of these.

        A knowledge base keeps them (`melder kb forget` removes them), and this linker answers with them from now on.

        Args:
            mentions: As in `link`, with answers (those without one teach nothing); or a text, with `answer`.
            answer: The id of the entity that the text's `mention` (default: the whole text) means.
            mention: Of one text, the words that are meant.
            image: The picture of one text.

        Returns:
            How many were new, corrected and known.

        Raises:
            MelderError: An answer is no entity's id, and what `link` raises.
        """
        details = {"mention": mention, "image": image, "answer": answer}
        named = {name: value for name, value in details.items() if value is not None}
        if named and not isinstance(mentions, str):
            raise MelderError(f"{next(iter(named))}=… goes with one text; of other mentions it is part of each")
        single = {"text": mentions, **named} if isinstance(mentions, str) else mentions
        inputs = [read_mention(single)] if is_single(single) else read_mentions(mentions)
        return self._learn([(given.mention, self._read_item(given)) for given in inputs])

    def seen_as(self, surface: str, identities: Sequence[str]) -> dict[str, str]:
        """In words, how often exemplars of entities were called by a surface; those without exemplars are left out."""
        if self.memory is None:
            return {}
        rows = self.source.rows(identities)
        words = {identity: self.memory.words(row, surface) for identity, row in rows.items()}
        return {identity: sentence for identity, sentence in words.items() if sentence is not None}

    def _learn(self, labelled: Labelled) -> Learned:
        """Those without an answer, which are of no entity, teach nothing."""
        labelled = [(mention, item) for mention, item in labelled if mention.answer is not None]
        if not labelled:
            return Learned()
        if self.knowledge_base.has_sides:
            directory: Path = self.knowledge_base.directory
            result = learn(directory, labelled, self.model)
            with open_knowledge_base(directory) as newest:
                self.exemplars = newest.exemplars
            return result
        mentions = [mention for mention, _ in labelled]
        known = self.source.rows([str(mention.answer) for mention in mentions])
        if bad := unknown_answers(mentions, known, str(self.knowledge_base.directory)):
            raise BadData(bad)
        self.exemplars, result = with_new(self.exemplars, labelled, self.model, self.source)
        return result
