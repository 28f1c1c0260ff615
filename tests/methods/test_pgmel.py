"""PGMEL's configuration and its triplet loss."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from melder.methods import build_matcher
from melder.methods.losses import Batch, triplet
from melder.methods.pgmel import PGMELConfiguration, sampled_triplet
from melder.records import MelderError
from melder.runs.model import Model
from melder.training.batched import Batched, EncodedItems
from melder.training.loop.module import batch_scores
from units.made import BLIND, SIZES, features

SCORES = torch.tensor([[0.9, 0.1, 0.7, 0.2], [0.3, 0.4, 0.8, 0.0]])
GOLD = torch.tensor([0, 1])


def batch(sampled: torch.Tensor | None) -> Batch:
    return Batch(None, None, GOLD, torch.zeros(2, 4, dtype=torch.bool), sampled)  # type: ignore[arg-type]


def test_each_mention_is_told_from_the_negatives_that_it_sampled() -> None:
    found = sampled_triplet(SCORES, batch(torch.tensor([[2], [3]])), margin=0.5)
    assert torch.allclose(found, torch.tensor((0.5 + 0.7 - 0.9 + 0.5 + 0.0 - 0.4) / 2))


def test_a_sampled_gold_entity_is_no_negative() -> None:
    found = sampled_triplet(SCORES, batch(torch.tensor([[2], [-1]])), margin=0.5)
    assert torch.allclose(found, torch.tensor((0.5 + 0.7 - 0.9) / 2))


@pytest.mark.parametrize("sampled", [None, torch.empty(2, 0, dtype=torch.long)])
def test_without_samples_the_whole_batch_is_negative(sampled: torch.Tensor | None) -> None:
    expected = triplet(SCORES, batch(None), margin=0.5, weight=1.0)
    assert torch.equal(sampled_triplet(SCORES, batch(sampled), margin=0.5), expected)


def test_own_negatives_of_a_batch_are_found_whatever_is_masked_for_the_others() -> None:
    """Mention 0 draws entities 5 and 8, mention 1 draws 8 again and its own answer, which is entity 8's twin 3."""
    torch.manual_seed(0)
    model = Model(torch.nn.Identity(), build_matcher(PGMELConfiguration(), SIZES))  # type: ignore[arg-type]
    columns = torch.tensor([2, 3, 5, 8, 8, 3])
    batched = Batched(EncodedItems(features(2, 1)), EncodedItems(features(6, 2)), columns)
    made = batch_scores(model, batched, mask_duplicates=True)[0]
    assert made.sampled is not None
    assert made.sampled.tolist() == [[2, 3], [4, -1]]


@pytest.mark.parametrize("distance", ["cosine", "l2"])
@pytest.mark.parametrize("triplets", ["own", "all"])
def test_every_choice_builds_and_scores(distance: str, triplets: str) -> None:
    configuration = PGMELConfiguration(distance=distance, triplets=triplets, hidden=8, lexical=False)  # type: ignore[arg-type]
    matcher = build_matcher(configuration, SIZES)
    scores = matcher.score(matcher.mention_side(features(2, 1)), matcher.entity_side(features(4, 2)))
    losses = matcher.losses(batch(torch.tensor([[2], [3]])), scores)
    all_of_them = triplet(scores.total, batch(None), margin=0.5, weight=1.0)
    own = sampled_triplet(scores.total, batch(torch.tensor([[2], [3]])), margin=0.5)
    assert torch.equal(losses["total"], own if triplets == "own" else all_of_them)


def test_pictures_alone_need_an_encoder_that_sees() -> None:
    with pytest.raises(MelderError, match="needs an encoder with pictures"):
        build_matcher(PGMELConfiguration(fusion="image"), BLIND)


def test_there_is_nothing_published_to_restore() -> None:
    with pytest.raises(ValidationError, match="no published code of PGMEL"):
        PGMELConfiguration(published=True)
