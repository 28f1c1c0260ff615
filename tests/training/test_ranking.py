"""Ranks of the selection set in training, among few entities and among many."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from melder.linking.model import Model
from melder.methods import METHODS, build_matcher
from melder.training import ranking
from units.made import SIZES, features

MENTIONS, ENTITIES = 12, 60


@pytest.mark.parametrize("name", sorted(METHODS))
def test_ranks_are_the_same_whether_all_entities_are_scored_or_those_that_could_be_ahead(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = Model(nn.Identity(), build_matcher(METHODS[name].configuration(), SIZES))  # type: ignore[arg-type]
    mentions, entities = features(MENTIONS, 1), features(ENTITIES, 2, aliases=2)
    gold = [(7 * row) % ENTITIES for row in range(MENTIONS)]
    every = ranking.rank_features(model, mentions, entities, gold)
    monkeypatch.setattr(ranking, "CERTIFIED_FROM", 1)
    some = ranking.rank_features(model, mentions, entities, gold)
    assert some.optimistic.tolist() == every.optimistic.tolist()
    assert some.pessimistic.tolist() == every.pessimistic.tolist()
