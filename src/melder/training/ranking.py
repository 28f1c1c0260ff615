"""Ranks of selection mentions with the model as it is in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from melder.data import DataSet, entity_items, mention_items
from melder.evaluation.ranks import join, rank_of
from melder.features import Features, Side
from melder.linking.best import Best
from melder.linking.certified import Certified, certifiable
from melder.linking.model import CHUNK, Model, score_blocks, sides_of
from melder.linking.nil import LOOKED_AT
from melder.linking.sources import HeldSides
from melder.records import Mention, Ranks

__all__ = ["chunks", "figures", "rank_features", "rank_items"]

# From so many entities on, scoring only those that could be ahead of the gold one is the faster way to its exact rank.
CERTIFIED_FROM = 2000


def rank_items(
    model: Model,
    dataset: DataSet,
    modalities: frozenset[str],
    mentions: Sequence[Mention],
    gold: Sequence[int],
    best: list[Best] | None = None,
) -> Ranks:
    """Encode mentions and entities anew, since training changes the encoder, and rank; `gold` are columns.

    `best`, if given, gets the first candidates of each mention, for some mentions an element.
    """
    separator = model.encoder.separator
    side = model.mention_side(mention_items(mentions, dataset, separator, modalities))
    entities = model.entity_side(entity_items(dataset.entities, dataset, separator, modalities))
    return _rank(model, side, entities, gold, best)


def rank_features(
    model: Model, mentions: Features, entities: Features, gold: Sequence[int], best: list[Best] | None = None
) -> Ranks:
    """Rank with the features of a frozen encoder; `best` as in `rank_items`."""
    side = sides_of(model.matcher, chunks(mentions), "mention_side")
    return _rank(model, side, sides_of(model.matcher, chunks(entities), "entity_side"), gold, best)


def figures(ranks: Ranks) -> Mapping[str, float]:
    """hits@1 and mean reciprocal rank, without intervals."""
    realistic = ranks.realistic
    return {"hits@1": float((realistic == 1).mean()), "mrr": float(np.mean(1 / realistic))}


def chunks(features: Features) -> Iterator[Features]:
    """Stored features, some at a time, in float32."""
    for start in range(0, len(features), CHUNK):
        yield features[start : start + CHUNK].to(torch.float32)


def _rank(model: Model, mentions: Side, entities: Side, gold: Sequence[int], best: list[Best] | None) -> Ranks:
    if best is None and entities.rows >= CERTIFIED_FROM and certifiable(model.matcher):
        return Certified.build(model.matcher, HeldSides(entities)).ranks(mentions, torch.tensor(gold))
    ranks = []
    for rows, scores in score_blocks(model.matcher, mentions, entities):
        ranks.append(rank_of(scores.total, torch.tensor(gold[rows])))
        if best is not None:
            found = Best(len(scores.total), LOOKED_AT + 1)
            found.update(0, scores.total, model.matcher.contributions(scores))
            best.append(found)
    return join(ranks)
