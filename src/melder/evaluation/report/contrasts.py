"""The mentions that one of two systems alone gets right, as both answered them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from melder.data.dataset import DataSet
from melder.data.own import OwnLayout
from melder.evaluation.comparison import Comparison
from melder.evaluation.predictions import Prediction
from melder.evaluation.report.examples import examples
from melder.evaluation.report.page import ComparedSystem, ComparisonPage, Contrast, Example
from melder.evaluation.stored import links_of, mentions_of, ranks_of
from melder.records import Entity, Mention

__all__ = ["comparison_page"]


def comparison_page(
    comparison: Comparison,
    count: int,
    dataset: DataSet | None = None,
    knowledge_base: DataSet | None = None,
    about: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> ComparisonPage:
    """A comparison with examples of the mentions that one system alone gets right.

    Args:
        comparison: Two systems, compared.
        count: How many examples to show of either kind.
        dataset: Where texts, names and pictures are from; without one, ids are shown alone.
        knowledge_base: The data set of the candidates, where it is another.
        about: What is known of the predictions of both, as `melder.evaluation.about.read_about` gives it.

    Returns:
        What the page shows.

    Raises:
        MelderError: When the predictions are not of that data set.
    """
    if dataset is None:
        mentions, dataset = _ids_alone(comparison)
    else:
        mentions = mentions_of(comparison.first, dataset, comparison.names[0])[1]
    base = knowledge_base or dataset
    only_a, only_b = (
        _contrasts(comparison, rows[:count].tolist(), mentions, dataset, base)
        for rows in (comparison.only_a, comparison.only_b)
    )
    a, b = (_system(file, facts) for file, facts in zip(comparison.names, about, strict=True))
    return ComparisonPage(comparison, (a, b), only_a, only_b)


def _system(file: str, facts: Mapping[str, str]) -> ComparedSystem:
    """Called by method and run where they are known, else by the file."""
    if not facts:
        return ComparedSystem(file)
    return ComparedSystem(f"{facts['method']}, {facts['run']}", f"{facts['data']}, {facts['split']}: {file}")


def _contrasts(
    comparison: Comparison, rows: list[int], mentions: list[Mention], dataset: DataSet, base: DataSet
) -> list[Contrast]:
    chosen = [mentions[row] for row in rows]
    a, b = (
        _examples(chosen, [predictions[row] for row in rows], name, dataset, base)
        for name, predictions in zip(comparison.names, (comparison.first, comparison.second), strict=True)
    )
    return [Contrast(*pair) for pair in zip(a, b, strict=True)]


def _examples(
    mentions: list[Mention], rows: list[Prediction], name: str, dataset: DataSet, base: DataSet
) -> list[Example]:
    links = links_of(rows, mentions, {entity.id: entity for entity in base.entities}, name)
    return examples(mentions, links, ranks_of(rows).realistic.tolist(), dataset, base)


def _ids_alone(comparison: Comparison) -> tuple[list[Mention], DataSet]:
    """Mentions and entities of which nothing but the ids is known."""
    mentions = [Mention(id=row.id, surface=row.id, answer=row.gold) for row in comparison.first]
    ids = dict.fromkeys(_entity_ids([*comparison.first, *comparison.second]))
    return mentions, DataSet(Path(), [Entity(id=identity, name=identity) for identity in ids], OwnLayout(Path()))


def _entity_ids(rows: Iterable[Prediction]) -> Iterable[str]:
    for row in rows:
        yield from (candidate.id for candidate in row.candidates)
        if row.gold is not None:
            yield row.gold
