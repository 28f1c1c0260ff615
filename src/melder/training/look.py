"""The look at the selection set during training: hits@1 and mean reciprocal rank of a sample of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from melder.evaluation.ranks import rank_of
from melder.features import Features, Side
from melder.linking.exact import MENTIONS
from melder.linking.model import CHUNK, Model, answering, sides_of
from melder.records import Item

__all__ = ["look_at_features", "look_at_items"]


def look_at_items(
    model: Model, mentions: Sequence[Item], entities: Sequence[Item], gold: list[int]
) -> dict[str, float]:
    """Encode everything anew, since training changes the encoder, and rank."""
    return _figures(model, model.mention_side(mentions), model.entity_side(entities), gold)


def look_at_features(model: Model, mentions: Features, entities: Features, gold: list[int]) -> dict[str, float]:
    """Rank with the features of a frozen encoder."""
    mention_side = sides_of(model.matcher, _chunks(mentions), "mention_side")
    return _figures(model, mention_side, sides_of(model.matcher, _chunks(entities), "entity_side"), gold)


def _chunks(features: Features) -> Iterator[Features]:
    for start in range(0, len(features), CHUNK):
        yield features[start : start + CHUNK].to(torch.float32)


def _figures(model: Model, mentions: Side, entities: Side, gold: list[int]) -> dict[str, float]:
    ranks: list[float] = []
    for start in range(0, mentions.rows, MENTIONS):
        rows = slice(start, start + MENTIONS)
        with answering(model.matcher) as matcher:
            scores = matcher.score(mentions.take(rows), entities).total
        ranks += rank_of(scores.cpu(), torch.tensor(gold[rows])).realistic.tolist()
    hits = sum(rank == 1 for rank in ranks) / len(ranks)
    return {"hits@1": hits, "mrr": sum(1 / rank for rank in ranks) / len(ranks)}
