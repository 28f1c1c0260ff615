from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from melder.metrics.ranks import RankCounter, rank_of
from melder.records import MelderError


def random_scores(mentions: int, entities: int, levels: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores with at most `levels` different values, so that few levels give many ties; and gold columns."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (mentions, entities), generator=generator).float()
    return scores, torch.randint(entities, (mentions,), generator=generator)


def brute_force(row: list[float], gold: int) -> tuple[int, int]:
    """The first and the last place that the gold column can take in a sorted list."""
    others = [score for column, score in enumerate(row) if column != gold]
    better = sum(score > row[gold] for score in others)
    return better + 1, better + sum(score == row[gold] for score in others) + 1


def test_a_tie_for_the_first_two_places_is_told_apart() -> None:
    ranks = rank_of(torch.tensor([[3.0, 3.0, 1.0]]), torch.tensor([1]))
    assert (ranks.optimistic.tolist(), ranks.pessimistic.tolist(), ranks.realistic.tolist()) == ([1], [2], [1.5])


shapes = {"mentions": st.integers(1, 8), "entities": st.integers(1, 30), "seed": st.integers(0, 10_000)}


@given(**shapes, levels=st.sampled_from([1, 2, 5, 1_000_000]))
@settings(max_examples=60, deadline=None)
def test_ranks_equal_brute_force(mentions: int, entities: int, seed: int, levels: int) -> None:
    scores, gold = random_scores(mentions, entities, levels, seed)
    ranks = rank_of(scores, gold)
    expected = [brute_force(row, column) for row, column in zip(scores.tolist(), gold.tolist(), strict=True)]
    assert list(zip(ranks.optimistic, ranks.pessimistic, strict=True)) == expected
    assert (ranks.optimistic <= ranks.realistic).all()
    assert (ranks.realistic <= ranks.pessimistic).all()
    assert ranks.optimistic.dtype == ranks.pessimistic.dtype == np.int64


@given(**shapes)
@settings(max_examples=30, deadline=None)
def test_without_ties_ranks_are_those_of_a_double_argsort(mentions: int, entities: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.stack([torch.randperm(entities, generator=generator) for _ in range(mentions)]).float()
    gold = torch.randint(entities, (mentions,), generator=generator)
    places = scores.argsort(dim=1, descending=True).argsort(dim=1) + 1
    ranks = rank_of(scores, gold)
    assert ranks.realistic.tolist() == places.gather(1, gold[:, None]).squeeze(1).tolist()


@given(**shapes, cuts=st.lists(st.integers(0, 30), max_size=5))
@settings(max_examples=60, deadline=None)
def test_tiles_give_the_ranks_of_the_whole(mentions: int, entities: int, seed: int, cuts: list[int]) -> None:
    scores, gold = random_scores(mentions, entities, 4, seed)
    edges = sorted({0, entities, *(cut for cut in cuts if cut < entities)})
    counter = RankCounter(scores.gather(1, gold[:, None]).squeeze(1))
    for start, stop in itertools.pairwise(edges):
        counter.update(scores[:, start:stop])
    whole, tiled = rank_of(scores, gold), counter.ranks()
    assert tiled.optimistic.tolist() == whole.optimistic.tolist()
    assert tiled.pessimistic.tolist() == whole.pessimistic.tolist()


def test_infinite_scores_rank_like_any_other() -> None:
    inf = float("inf")
    ranks = rank_of(torch.tensor([[inf, 0.0, -inf], [inf, 0.0, -inf]]), torch.tensor([0, 2]))
    assert ranks.realistic.tolist() == [1, 3]


def test_scores_that_are_not_a_number_are_refused_with_their_count() -> None:
    scores = torch.zeros(2, 3)
    scores[0, 1] = scores[1, 2] = float("nan")
    with pytest.raises(MelderError, match=r"^2 of 6 scores are not a number"):
        rank_of(scores, torch.tensor([0, 0]))
    with pytest.raises(MelderError, match=r"^1 of 2 scores"):
        RankCounter(torch.tensor([0.0, float("nan")]))


def test_a_gold_score_that_no_tile_held_is_refused() -> None:
    counter = RankCounter(torch.tensor([1.0, 2.0]))
    counter.update(torch.tensor([[1.0, 0.0], [2.5, 1.0]]))
    with pytest.raises(ValueError, match="gold scores of 1 mentions"):
        counter.ranks()
