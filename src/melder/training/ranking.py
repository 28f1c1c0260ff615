"""Ranks of selection mentions with the model as it is in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from melder.data import DataSet, entity_items, mention_items
from melder.features import Features, Scores, Side
from melder.linking.nil_calibration import NIL_TOP_K, sample
from melder.metrics.ranks import join, rank_of
from melder.records import Mention, Ranks
from melder.runs.model import CHUNK, Model, entity_side_of, mention_side_of, score_blocks
from melder.search.bounded import CERTIFIED_FROM, BoundedSearch
from melder.search.entity_store import HeldSides
from melder.search.topk import TopK
from melder.training.unit_weights import fit_unit_weights

__all__ = ["chunks", "figures", "rank_features", "rank_items"]


def rank_items(
    model: Model,
    dataset: DataSet,
    modalities: frozenset[str],
    mentions: Sequence[Mention],
    gold: Sequence[int],
    best: list[TopK] | None = None,
) -> Ranks:
    """Encode mentions and entities anew, since training changes the encoder, and rank.

    Args:
        model: As it is now.
        dataset: Of mentions and entities.
        modalities: That are read of them.
        mentions: That all have an answer.
        gold: The rows of these answers.
        best: Takes the first candidates of a sample of the mentions, for some mentions an element.

    Returns:
        Of the answers.
    """
    separator, pictures = model.encoder.separator, model.matcher.pictures
    entities = model.entity_side(entity_items(dataset.entities, dataset, separator, modalities, pictures=pictures))
    _show_gate(model, entities)
    side = model.mention_side(mention_items(mentions, dataset, separator, modalities, pictures))
    return _rank(model, side, entities, gold, best)


def rank_features(
    model: Model, mentions: Features, entities: Features, gold: Sequence[int], best: list[TopK] | None = None
) -> Ranks:
    """Rank with the features of a frozen encoder.

    Args:
        model: As it is now.
        mentions: That all have an answer.
        entities: All of them.
        gold: The rows of the answers.
        best: As in `rank_items`.

    Returns:
        Of the answers.
    """
    of_entities = entity_side_of(model.matcher, chunks(entities))
    _show_gate(model, of_entities)
    return _rank(model, mention_side_of(model.matcher, chunks(mentions)), of_entities, gold, best)


def figures(ranks: Ranks) -> Mapping[str, float]:
    """hits@1 and mean reciprocal rank, without intervals.

    Args:
        ranks: Of answers.

    Returns:
        By name.
    """
    realistic = ranks.realistic
    return {"hits@1": float((realistic == 1).mean()), "mrr": float(np.mean(1 / realistic))}


def chunks(features: Features) -> Iterator[Features]:
    """Stored features, some at a time, in float32.

    Args:
        features: Perhaps memory-mapped.

    Yields:
        In order.
    """
    for start in range(0, len(features), CHUNK):
        yield features[start : start + CHUNK].to(torch.float32)


def _show_gate(model: Model, entities: Side) -> None:
    """Have the gate, if there is one, learn of the entities; before the sides of mentions are made."""
    if model.matcher.gate is not None:
        model.matcher.gate.learn_entities(entities)


def _rank(model: Model, mentions: Side, entities: Side, gold: Sequence[int], best: list[TopK] | None) -> Ranks:
    """Ranks; a matcher whose units have weights has them fitted on these mentions first."""
    if model.matcher.weighted:
        fit_unit_weights(model.matcher, mentions, entities, gold)
    sampled = torch.arange(mentions.rows)[sample(mentions.rows)]
    if entities.rows >= CERTIFIED_FROM and model.matcher.has_bounds:
        search = BoundedSearch.build(model.matcher, HeldSides(entities))
        if best is not None:
            best += search.best(mentions.take(sampled), NIL_TOP_K + 1)
        return search.ranks(mentions, torch.tensor(gold))
    ranks = []
    for rows, scores in score_blocks(model.matcher, mentions, entities):
        ranks.append(rank_of(scores.total, torch.tensor(gold[rows])))
        if best is not None:
            best += _best(model, scores, sampled[(sampled >= rows.start) & (sampled < rows.stop)] - rows.start)
    return join(ranks)


def _best(model: Model, scores: Scores, rows: Tensor) -> list[TopK]:
    """Of some rows of a block, if any, the first candidates."""
    if not len(rows):
        return []
    parts = {name: scores_of[rows] for name, scores_of in model.matcher.contributions(scores).items()}
    best = TopK(len(rows), NIL_TOP_K + 1)
    best.update(0, scores.total[rows], parts)
    return [best]
