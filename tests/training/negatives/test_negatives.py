"""Which entities samplers draw, and what becomes of them in a batch. A sampler without a case fails the last test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from melder.data import MODALITIES, DataSet, load
from melder.protocols import Sampler
from melder.records import Mention
from melder.training.configuration import Configuration, NegativesConfiguration
from melder.training.loop.module import no_negatives
from melder.training.negatives.candidates import same_entity
from melder.training.negatives.configuration import GeneratorConfiguration
from melder.training.negatives.current import ItemsNow
from melder.training.negatives.model_free import build_sampler
from melder.training.negatives.samplers import SAMPLERS
from melder.training.prepare import build_model
from training.small import settings

GENERATOR = GeneratorConfiguration(warm_epochs=0, hidden=8)
CASES = {
    "in_batch": NegativesConfiguration(sampler="in_batch"),
    "uniform": NegativesConfiguration(sampler="uniform", count=3),
    "lexical": NegativesConfiguration(sampler="lexical", count=3, candidates=6),
    "pool": NegativesConfiguration(sampler="pool", count=3, candidates=3),
    "hard": NegativesConfiguration(sampler="hard", count=3, candidates=3),
    "policy_gradient": NegativesConfiguration(sampler="policy_gradient", count=3, candidates=3, generator=GENERATOR),
}
ROWS = np.array([5, 0, 9])


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> DataSet:
    return load(small_data)


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [mention for mention in dataset.split("train") if mention.answer is not None]


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def current(small_data: Path, dataset: DataSet, mentions: list[Mention]) -> ItemsNow:
    model = build_model(Configuration(**settings(small_data)), dataset, mentions)
    return ItemsNow(model, dataset, mentions, MODALITIES)


@pytest.fixture
def sampler(name: str, dataset: DataSet, mentions: list[Mention], current: ItemsNow) -> Sampler:
    made = build_sampler(CASES[name], dataset, mentions, current)
    made.prepare(np.arange(12))
    return made


def test_each_example_draws_as_many_as_asked_for(name: str, sampler: Sampler, dataset: DataSet) -> None:
    drawn = sampler.draw(1, 0, ROWS)
    assert drawn.shape == (3, 0 if name == "in_batch" else CASES[name].count)
    assert ((drawn >= 0) & (drawn < len(dataset.entities))).all()
    if name not in ("pool", "policy_gradient"):  # whose draws are independent
        assert all(len(set(row)) == len(row) for row in drawn.tolist())


@pytest.mark.parametrize(
    "name", ["pool", "hard", "policy_gradient"], indirect=True
)  # the others leave that to the mask
def test_samplers_of_hard_negatives_never_draw_the_answer_or_a_copy_of_it(
    sampler: Sampler, dataset: DataSet, mentions: list[Mention]
) -> None:
    numbers, entity_row = same_entity(dataset), {entity.id: number for number, entity in enumerate(dataset.entities)}
    for row, drawn in enumerate(sampler.draw(1, 0, np.arange(12))):
        assert numbers[entity_row[str(mentions[row].answer)]] not in numbers[drawn]


def test_draws_depend_on_seed_epoch_and_example_alone(name: str, sampler: Sampler) -> None:
    drawn = sampler.draw(1, 0, ROWS)
    assert np.array_equal(sampler.draw(1, 0, ROWS), drawn)
    assert np.array_equal(sampler.draw(1, 0, ROWS[::-1]), drawn[::-1])
    changed = [sampler.draw(2, 0, ROWS), sampler.draw(1, 1, ROWS)]
    assert all(np.array_equal(other, drawn) == (name in ("in_batch", "hard")) for other in changed)


def test_the_control_draws_evenly_from_the_generators_pool(
    dataset: DataSet, mentions: list[Mention], current: ItemsNow
) -> None:
    many = NegativesConfiguration(sampler="pool", count=4000, candidates=3)
    control, generated = (
        build_sampler(options, dataset, mentions, current) for options in (many, CASES["policy_gradient"])
    )
    control.prepare(ROWS)
    generated.prepare(ROWS)
    for row, drawn in zip(ROWS, control.draw(0, 0, ROWS), strict=True):
        candidates = [entity_row for entity_row in generated.entity_rows[row] if entity_row >= 0]
        shares = [float((drawn == entity_row).mean()) for entity_row in candidates]
        assert sum(shares) == 1
        deviation = np.sqrt(1 / len(shares) * (1 - 1 / len(shares)) / 4000)
        assert all(abs(share - 1 / len(shares)) < 5 * deviation for share in shares)


def test_a_mention_without_candidates_draws_its_answer(small_data: Path, current: ItemsNow) -> None:
    lone = load(small_data)
    mentions = [mention for mention in lone.split("train") if mention.answer == lone.entities[0].id]
    del lone.entities[1:]
    now = ItemsNow(current.model, lone, mentions, MODALITIES)
    sampler = build_sampler(CASES["pool"], lone, mentions, now)
    with pytest.raises(AssertionError, match="prepare comes first"):
        sampler.draw(0, 0, np.array([0]))
    sampler.prepare(np.array([0, 1]))
    assert sampler.draw(0, 0, np.array([0, 1])).tolist() == [[0, 0, 0]] * 2


def test_lexical_negatives_look_like_the_surface(dataset: DataSet, mentions: list[Mention], current: ItemsNow) -> None:
    options = NegativesConfiguration(sampler="lexical", count=2, candidates=2)
    sampler = build_sampler(options, dataset, mentions, current)
    drawn = sampler.draw(0, 0, np.arange(len(mentions)))
    for mention, row in zip(mentions, drawn, strict=True):
        names = [dataset.entities[entity_row].name.lower() for entity_row in row]
        answer = next(entity for entity in dataset.entities if entity.id == mention.answer)
        assert answer.name.lower() not in names
        shared = [bool(set(name.split()) & set(mention.surface.lower().split())) for name in names]
        alike = [e for e in dataset.entities if set(e.name.lower().split()) & set(mention.surface.lower().split())]
        assert all(shared) or len([e for e in alike if e.id != mention.answer]) < 2


def test_no_negative_is_the_gold_entity_a_copy_of_it_or_there_twice() -> None:
    rows = torch.tensor([7, 8, 7, 9, 8, 5, 5])  # three gold ones, four sampled
    ignore = no_negatives(rows, torch.arange(3), 3, mask_duplicates=True)
    assert ignore.tolist() == [
        [False, False, True, False, True, False, True],
        [False, False, False, False, True, False, True],
        [True, False, False, False, True, False, True],
    ]


def test_published_training_masks_nothing() -> None:
    assert not no_negatives(torch.tensor([7, 7]), torch.arange(2), 2, mask_duplicates=False).any()


def test_equal_names_and_descriptions_are_one_entity(dataset: DataSet) -> None:
    again = dataset.entities[2].model_copy(update={"id": "copy"})
    other = dataset.entities[3].model_copy(update={"id": "other", "description": "another one"})
    numbers = same_entity(_with(dataset, [again, other]))
    assert numbers[-2] == numbers[2]
    assert (numbers == numbers[-1]).sum() == 1


def _with(dataset: DataSet, more: list) -> DataSet:  # type: ignore[type-arg]
    copied = load(dataset.directory)
    copied.entities.extend(more)
    return copied


def test_every_sampler_has_a_case() -> None:
    assert CASES.keys() == set(SAMPLERS.names())
