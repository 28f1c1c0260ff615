"""Hard negatives against the plain way: the whole matrix of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from melder.data import MODALITIES, DataSet, load
from melder.features import Scores, Side
from melder.methods.matcher import UnitMatcher
from melder.records import Mention
from melder.runs.model import answering, entity_side_of, mention_side_of
from melder.training.configuration import Configuration
from melder.training.negatives.candidates import Pool, same_entity
from melder.training.negatives.current import FeaturesNow, ItemsNow
from melder.training.negatives.hard import Hard
from melder.training.prepare import build_model
from rounding import SCORE, close
from training.small import settings

ROWS = np.array([5, 0, 9, 22])
COUNT = 3


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> DataSet:
    """With a copy of each of the first two entities."""
    loaded = load(small_data)
    loaded.entities.extend(each.model_copy(update={"id": f"{each.id}-again"}) for each in loaded.entities[:2])
    return loaded


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [mention for mention in dataset.split("train") if mention.answer is not None]


@pytest.fixture(scope="module")
def current(small_data: Path, dataset: DataSet, mentions: list[Mention]) -> ItemsNow:
    model = build_model(Configuration(**settings(small_data)), dataset, mentions)
    return ItemsNow(model, dataset, mentions, MODALITIES)


def pool(dataset: DataSet, mentions: list[Mention], k: int) -> Pool:
    return Pool(mentions, dataset.entities, same_entity(dataset), k)


def scores(current: Any, rows: np.ndarray) -> torch.Tensor:
    matcher = current.model.matcher
    entities = entity_side_of(matcher, current.entities())
    mentions = mention_side_of(matcher, current.mentions(rows))
    with answering(matcher):
        return matcher.score(mentions, entities).total.clone()  # type: ignore[no-any-return]


def test_they_are_the_best_of_all_entities_but_the_answers_group(
    dataset: DataSet, mentions: list[Mention], current: ItemsNow
) -> None:
    everything = pool(dataset, mentions, len(dataset.entities))
    hard = Hard(everything, current, COUNT, refresh=2)
    hard.prepare(ROWS)
    numbers = same_entity(dataset)
    own = torch.from_numpy(numbers[everything.answers[ROWS]][:, None] == numbers[None, :])
    assert (own.sum(dim=1) == 2).any()
    others = scores(current, ROWS).masked_fill(own, float("-inf"))
    drawn = torch.from_numpy(hard.draw(0, 0, ROWS))
    assert all(len(set(row)) == COUNT for row in drawn.tolist())
    # Not the rows: twins have one score in exact arithmetic, and either may be the higher by rounding.
    assert close(others.gather(1, drawn), others.topk(COUNT).values, SCORE)


def test_they_follow_the_model(dataset: DataSet, mentions: list[Mention], current: ItemsNow) -> None:
    hard = Hard(pool(dataset, mentions, 6), current, COUNT, refresh=2)
    hard.prepare(ROWS)
    before = hard.draw(0, 0, ROWS).copy()
    kept = {name: tensor.clone() for name, tensor in current.model.state_dict().items()}
    for parameter in current.model.matcher.parameters():
        parameter.data.neg_()
    hard.prepare(ROWS[:2])
    assert not np.array_equal(hard.draw(0, 0, ROWS[:2]), before[:2])
    assert np.array_equal(hard.draw(0, 0, ROWS[2:]), before[2:])  # not of the coming steps: left as they were
    current.model.load_state_dict(kept)


def test_stored_features_give_the_same_as_encoding_anew(
    dataset: DataSet, mentions: list[Mention], current: ItemsNow
) -> None:
    features = [next(current.mentions(np.arange(len(mentions))[::-1])), next(current.entities())]
    rows = list(range(len(mentions)))[::-1]
    stored = FeaturesNow(current.model, features[0], rows, features[1])
    drawn = []
    for now in (current, stored):
        hard = Hard(pool(dataset, mentions, 4), now, COUNT, refresh=2)  # type: ignore[arg-type]
        hard.prepare(ROWS)
        drawn.append(torch.from_numpy(hard.draw(0, 0, ROWS)))
    every = scores(current, ROWS)
    assert close(every.gather(1, drawn[0]), every.gather(1, drawn[1]), SCORE)
    numbers = same_entity(dataset)
    assert np.array_equal(*(numbers[entity_rows.numpy()] for entity_rows in drawn))


def test_of_equal_scores_the_first_entities_are_drawn(
    dataset: DataSet, mentions: list[Mention], current: ItemsNow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the candidates come in the order of names and vectors."""

    def level(matcher: UnitMatcher, mentions: Side, entities: Side) -> Scores:
        return Scores(torch.zeros(mentions.rows, entities.rows), {})

    monkeypatch.setattr(UnitMatcher, "score", level)
    whole = pool(dataset, mentions, len(dataset.entities))
    hard = Hard(whole, current, COUNT, refresh=2)
    hard.prepare(ROWS)
    numbers = same_entity(dataset)
    for row, rows in zip(ROWS, hard.draw(0, 0, ROWS), strict=True):
        others = np.flatnonzero(numbers != numbers[whole.answers[row]])
        assert rows.tolist() == others[:COUNT].tolist()


def test_candidates_are_the_best_by_name_and_by_vector_in_turn(
    dataset: DataSet, mentions: list[Mention], current: ItemsNow
) -> None:
    matcher = current.model.matcher
    sides = (
        mention_side_of(matcher, current.mentions(ROWS)),
        entity_side_of(matcher, current.entities()),
    )
    whole = pool(dataset, mentions, len(dataset.entities)).candidates(ROWS, matcher, *sides)
    few = pool(dataset, mentions, 2).candidates(ROWS, matcher, *sides)
    assert few.shape == (len(ROWS), 4)
    for row, entity_rows in zip(ROWS, few, strict=True):
        kept = entity_rows[entity_rows >= 0].tolist()
        assert 2 <= len(kept) == len(set(kept))
        assert (entity_rows[len(kept) :] == -1).all()
        own = mentions[row].answer
        assert own not in {dataset.entities[entity_row].id.removesuffix("-again") for entity_row in kept}
    assert (few[:, 0] == whole[:, 0]).all()


def test_a_knowledge_base_without_any_other_entity_leaves_the_answer(small_data: Path, current: ItemsNow) -> None:
    lone = load(small_data)
    mentions = [mention for mention in lone.split("train") if mention.answer == lone.entities[0].id]
    del lone.entities[1:]
    hard = Hard(pool(lone, mentions, 4), ItemsNow(current.model, lone, mentions, MODALITIES), 2, refresh=1)
    hard.prepare(np.array([0, 1]))
    assert hard.draw(0, 0, np.array([0, 1])).tolist() == [[0, 0], [0, 0]]


def test_nothing_is_drawn_before_it_is_prepared(dataset: DataSet, mentions: list[Mention], current: ItemsNow) -> None:
    with pytest.raises(AssertionError, match="prepare comes first"):
        Hard(pool(dataset, mentions, 4), current, COUNT, refresh=2).draw(0, 0, ROWS)
