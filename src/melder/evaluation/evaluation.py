"""What an evaluation found: figures, and the mentions, links and ranks behind them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from melder.data import DataSet
from melder.evaluation.predictions import Prediction, predictions
from melder.evaluation.report import Example, ReportPage, confident_errors, confused_pairs, examples
from melder.evaluation.report.curves import Curves
from melder.io.counts import how_many
from melder.kb import KnowledgeBase
from melder.metrics.confusions import confusions
from melder.metrics.metrics import Metrics, metrics
from melder.metrics.name_match import name_match
from melder.metrics.slices import group_names, slices
from melder.metrics.unit_margins import unit_margins
from melder.records import BadRecord, Link, MelderError, Mention, Ranks

__all__ = ["Evaluation", "assess"]

SHOWN = 12  # examples, and pairs of confused entities, of a report
ERRORS = 200  # of a report: more than anyone reads, few enough for a phone to filter


@dataclass
class Evaluation:
    """What came out of an evaluation.

    Args:
        figures: As in metrics.json.
        mentions: That were linked.
        links: Of these, in their order.
        ranks: Of the answers of those that have one.
        dataset: Of the mentions.
        knowledge_base: Of the entities.
        seen: The ids of the entities that were answers in training; None = unknown.
        skipped: Bad records that were left out.
        training: What the logs of the run hold.
    """

    figures: dict[str, Any]
    mentions: Sequence[Mention]
    links: Sequence[Link]
    ranks: Ranks
    dataset: DataSet
    knowledge_base: DataSet | KnowledgeBase
    seen: Collection[str] | None = None
    skipped: list[BadRecord] = field(default_factory=list)
    training: Curves = field(default_factory=dict)

    @property
    def predictions(self) -> list[Prediction]:
        return predictions(self.mentions, self.links, self.ranks)

    def page(
        self,
        title: str = "Melder report",
        *,
        chosen: Sequence[int] | None = None,
        modalities: Mapping[str, Metrics] | None = None,
    ) -> ReportPage:
        """The contents of an HTML report; `chosen` are the mentions to show, by default some from the whole list."""
        f = self.figures
        wrong = confident_errors(self.mentions, self.links)
        step = max(1, len(self.mentions) // SHOWN)
        rows = chosen if chosen is not None else range(0, len(self.mentions), step)
        return ReportPage(
            title=title,
            summary=f"{f['method']} on {f['data']}, split {f['split']}: {how_many(f['mentions'], 'mention')} against "
            f"{how_many(f['candidates'], 'entity')}, all of them scored.",
            run={name: str(f[name]) for name in ("method", "encoder", "data", "split", "seed")} | f["versions"],
            metrics=f,
            name_match=f["name_match"],
            ranks=self.ranks,
            modalities=modalities or {},
            slices=f["slices"] | self._bare_slices(),
            units=unit_margins(self.mentions, self.links),
            nil=f.get("nil"),
            confused=confused_pairs(confusions(self.mentions, self.links)[:SHOWN], self.knowledge_base),
            examples=self._examples(rows[:SHOWN]),
            errors=self._examples(wrong[:ERRORS]),
            wrong=len(wrong),
            training=self.training,
        )

    def _bare_slices(self) -> dict[str, Metrics]:
        """The same groups without demonstrations, of a method that shows some."""
        bare = self.figures.get("without_demonstrations")
        groups = {} if bare is None else {"all": bare, **bare["slices"]}
        return {f"{name}, without demonstrations": figures for name, figures in groups.items()}

    def _examples(self, rows: Sequence[int]) -> list[Example]:
        ranked = iter(self.ranks.realistic.tolist())
        ranks = [None if mention.answer is None else next(ranked) for mention in self.mentions]
        groups = group_names(self.mentions, {entity.id: entity for entity in self.knowledge_base.entities}, self.seen)
        return examples(
            [self.mentions[row] for row in rows],
            [self.links[row] for row in rows],
            [ranks[row] for row in rows],
            self.dataset,
            self.knowledge_base,
            [groups[row] for row in rows],
        )


def assess(
    mentions: Sequence[Mention],
    links: Sequence[Link],
    ranks: Ranks,
    dataset: DataSet,
    knowledge_base: DataSet | KnowledgeBase,
    seen: Collection[str] | None,
) -> Evaluation:
    """What came of an evaluation, from links and ranks.

    Args:
        mentions: With or without answers.
        links: Of these, in their order.
        ranks: Of the answers of those that have one.
        dataset: Of the mentions.
        knowledge_base: Of the entities.
        seen: The ids of the entities that were answers in training; None = unknown.

    Returns:
        With figures.

    Raises:
        MelderError: No mention has an answer.
    """
    answered = [mention for mention in mentions if mention.answer is not None]
    if not answered:
        raise MelderError("no mention has an answer in the knowledge base: there is nothing to rank")
    entities = {entity.id: entity for entity in knowledge_base.entities}
    count = len(entities)
    figures: dict[str, Any] = metrics(ranks, count)
    figures["name_match"] = metrics(name_match(answered, knowledge_base.entities), count)
    figures["slices"] = slices(answered, entities, seen, ranks)
    return Evaluation(figures, mentions, links, ranks, dataset, knowledge_base, seen)
