"""The exact linker: every mention against every entity, a block of mentions at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from melder.data import DataSet, entity_items, mention_items
from melder.evaluation.ranks import join, rank_of
from melder.features import Scores
from melder.linking.model import CHUNK, Model, score_blocks
from melder.linking.query import to_mention
from melder.protocols import Progress
from melder.records import Candidate, Entity, Item, Link, MelderError, Mention, Ranks

__all__ = ["ExactLinker"]


class ExactLinker:
    """Links mentions to the entities of a data set with a trained model, without any approximation.

    Entities are encoded when the linker is made (`progress` is told how many are done). Mentions given as records
    name their pictures within `data`, by default the data set of the entities.
    """

    def __init__(
        self,
        model: Model,
        knowledge_base: DataSet,
        *,
        data: DataSet | None = None,
        modalities: Sequence[str] = ("text", "image"),
        progress: Progress | None = None,
    ) -> None:
        self.model = model.eval()
        self.knowledge_base = knowledge_base
        self.data = data or knowledge_base
        self.modalities = frozenset(modalities)
        self.entities: list[Entity] = knowledge_base.entities
        self.column = {entity.id: column for column, entity in enumerate(self.entities)}
        separator = model.encoder.separator
        items = entity_items(self.entities, knowledge_base, separator, modalities=self.modalities)
        self.side = model.entity_side(items, progress)

    def link(
        self,
        mentions: str | Sequence[Mention],
        k: int = 10,
        *,
        mention: str | None = None,
        image: str | Path | bytes | None = None,
    ) -> Link | list[Link]:
        """The k best entities for each mention; for one text, of its `mention` (default: the whole text).

        A list of `Mention` gives a list of `Link`, in order. One text, with `image` a path or the bytes of an
        image file, gives one `Link`.
        """
        if not isinstance(mentions, str):
            return [link for block in self.answers(mentions, self.items(mentions), k) for link in block]
        record = to_mention(mentions, mention)
        return next(self.answers([record], [self.item(record, image)], k))[0]

    def ranks(self, mentions: Sequence[Mention]) -> Ranks:
        """Exact ranks of the answers of mentions that all have one."""
        return self.links_and_ranks(mentions, 1)[1]

    def links_and_ranks(
        self, mentions: Sequence[Mention], k: int, progress: Progress | None = None
    ) -> tuple[list[Link], Ranks]:
        """Links of all the mentions, and the exact ranks of the answers of those that have one, in one pass."""
        gold = self.gold([mention for mention in mentions if mention.answer is not None])
        links, ranks, done = list[Link](), list[Ranks](), 0
        for block, scores in self._scored(mentions, self.items(mentions), progress):
            links += self._links(block, scores, k)
            rows = [row for row, mention in enumerate(block) if mention.answer is not None]
            ranks.append(rank_of(scores.total[rows], gold[done : done + len(rows)]))
            done += len(rows)
        return links, join(ranks)

    def answers(self, mentions: Sequence[Mention], items: Sequence[Item], k: int) -> Iterator[list[Link]]:
        """Links of a few mentions at a time, in order; `items` are what the encoder is to read of them."""
        for block, scores in self._scored(mentions, items, None):
            yield self._links(block, scores, k)

    def items(self, mentions: Sequence[Mention]) -> list[Item]:
        """What the encoder reads of mentions whose pictures lie in the data set."""
        return mention_items(mentions, self.data, self.model.encoder.separator, modalities=self.modalities)

    def item(self, mention: Mention, image: str | Path | bytes | None) -> Item:
        """What the encoder reads of a mention with a picture from anywhere."""
        item = self.items([mention.model_copy(update={"image": None})])[0]
        shown = Path(image) if isinstance(image, str) else image
        return Item(item.text, shown if "image" in self.modalities else None, item.surfaces)

    def gold(self, mentions: Sequence[Mention]) -> Tensor:
        """[mentions] columns of the answers; an answer that is not among the entities is an error."""
        unknown = [mention for mention in mentions if mention.answer not in self.column]
        if unknown:
            first = unknown[0]
            raise MelderError(
                f"mention {first.id!r}, field 'answer': {first.answer!r} is not in the knowledge base "
                f"({len(unknown)} such mentions); evaluate against one that holds the answers"
            )
        return torch.tensor([self.column[str(mention.answer)] for mention in mentions], dtype=torch.long)

    def _scored(
        self, mentions: Sequence[Mention], items: Sequence[Item], progress: Progress | None
    ) -> Iterator[tuple[Sequence[Mention], Scores]]:
        for start in range(0, len(mentions), CHUNK):
            chunk = mentions[start : start + CHUNK]
            side = self.model.mention_side(items[start : start + CHUNK])
            for rows, scores in score_blocks(self.model.matcher, side, self.side):
                yield chunk[rows], scores
                if progress is not None:
                    progress(len(chunk[rows]))

    def _links(self, mentions: Sequence[Mention], scores: Scores, k: int) -> list[Link]:
        best = scores.total.topk(min(k, len(self.entities)), dim=1).indices.tolist()
        parts = self.model.matcher.contributions(scores)
        return [
            Link(
                id=mention.id,
                start=mention.start,
                end=mention.end,
                surface=mention.surface,
                candidates=tuple(self._candidate(column, row, scores.total, parts) for column in best[row]),
            )
            for row, mention in enumerate(mentions)
        ]

    def _candidate(self, column: int, row: int, total: Tensor, parts: Mapping[str, Tensor]) -> Candidate:
        entity = self.entities[column]
        units = {name: float(part[row, column]) for name, part in parts.items()}
        return Candidate(id=entity.id, name=entity.name, score=float(total[row, column]), units=units)
