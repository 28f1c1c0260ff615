"""Ranks of the selection set in training, among few entities and among many."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from melder.linking import nil_calibration as nil
from melder.methods import METHODS, build_matcher
from melder.runs.model import Model, answering, entity_side_of, mention_side_of
from melder.search.topk import TopK
from melder.training import ranking
from units.made import SIZES, features

MENTIONS, ENTITIES = 12, 60


@pytest.mark.parametrize("name", [name for name in METHODS.names() if METHODS.get(name).compares])
def test_ranks_are_the_same_whether_all_entities_are_scored_or_those_that_could_be_ahead(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = Model(nn.Identity(), build_matcher(METHODS.get(name).configuration(), SIZES))  # type: ignore[arg-type]
    mentions, entities = features(MENTIONS, 1), features(ENTITIES, 2, aliases=2)
    gold = [(7 * row) % ENTITIES for row in range(MENTIONS)]
    every = ranking.rank_features(model, mentions, entities, gold)
    monkeypatch.setattr(ranking, "CERTIFIED_FROM", 1)
    some = ranking.rank_features(model, mentions, entities, gold)
    assert some.optimistic.tolist() == every.optimistic.tolist()
    assert some.pessimistic.tolist() == every.pessimistic.tolist()


@pytest.mark.parametrize("certified_from", [1, 1000])
def test_first_candidates_are_those_of_the_sample(certified_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Model(nn.Identity(), build_matcher(METHODS.get("m3el").configuration(), SIZES))  # type: ignore[arg-type]
    mentions, entities = features(70, 1), features(ENTITIES, 2)  # more than a block of mentions
    monkeypatch.setattr(nil, "SAMPLE", 20)
    monkeypatch.setattr(ranking, "CERTIFIED_FROM", certified_from)
    found: list[TopK] = []
    ranking.rank_features(model, mentions, entities, [0] * 70, found)
    sides = mention_side_of(model.matcher, [mentions]), entity_side_of(model.matcher, [entities])
    with answering(model.matcher):
        first = model.matcher.score(*sides).total.argmax(dim=1)
    assert torch.cat([best.rows for best in found])[:, 0].tolist() == first[nil.sample(70)].tolist()
    assert len(first[nil.sample(70)]) == 18
