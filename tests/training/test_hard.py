"""Hard negatives against the plain way: the whole matrix of scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from melder.data import MODALITIES, DataSet, load
from melder.records import Mention
from melder.runs.model import answering, entity_side_of, mention_side_of
from melder.training.configuration import Configuration
from melder.training.current import FeaturesNow, ItemsNow
from melder.training.hard import Hard
from melder.training.pool import Pool, same_entity
from melder.training.prepare import build_model
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
    best = scores(current, ROWS).masked_fill(own, float("-inf")).topk(COUNT).indices
    assert hard.draw(0, 0, ROWS).tolist() == best.tolist()


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
        drawn.append(hard.draw(0, 0, ROWS))
    assert np.array_equal(*drawn)


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
    for row, columns in zip(ROWS, few, strict=True):
        kept = columns[columns >= 0].tolist()
        assert 2 <= len(kept) == len(set(kept))
        assert (columns[len(kept) :] == -1).all()
        own = mentions[row].answer
        assert own not in {dataset.entities[column].id.removesuffix("-again") for column in kept}
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
