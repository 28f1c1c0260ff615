from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from melder.data import MODALITIES, DataSet, entity_items, load, mention_items
from melder.encoders import Towers, encode
from melder.further_pictures import FurtherPictures
from melder.training.batched import Batched, BatchItems, EncodedItems, FurtherInputs, PreparedItems
from melder.training.configuration import Configuration, TrainingConfiguration
from melder.training.examples import FeatureExamples, ItemExamples
from melder.training.negatives.model_free import InBatch
from melder.training.order import BatchPlan
from melder.training.prepare import build_model
from melder.training.split import split_data
from training.small import settings, with_more_pictures

PLAN = BatchPlan(mentions=35, batch_size=8, seed=5)
ROWS = np.array([3, 0, 17, 8, 30])


def options(**changes: Any) -> TrainingConfiguration:
    return TrainingConfiguration(**{"drop_text": 0.0, "drop_image": 0.0, "augment": False} | changes)


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> DataSet:
    return load(small_data)


@pytest.fixture(scope="module")
def encoder(small_data: Path, dataset: DataSet) -> Towers:
    return build_model(Configuration(**settings(small_data)), dataset, dataset.split("train")).encoder


@pytest.fixture(scope="module")
def items(small_data: Path, dataset: DataSet, encoder: Towers) -> ItemExamples:
    split = split_data(Configuration(**settings(small_data)), dataset)
    row_of = {entity.id: number for number, entity in enumerate(dataset.entities)}
    answers = [row_of[str(mention.answer)] for mention in split.train]
    return ItemExamples(encoder, dataset, split.train, answers, MODALITIES, options(), InBatch())


@pytest.fixture(scope="module")
def features(items: ItemExamples) -> FeatureExamples:
    """The same examples, encoded; the last mention of the features is in no example."""
    separator = items.encoder.separator
    mentions = [*items.mentions[1:], items.mentions[0], items.mentions[0]]
    encoded = encode(items.encoder, mention_items(mentions, items.dataset, separator))
    entities = encode(items.encoder, entity_items(items.dataset.entities, items.dataset, separator))
    rows = [len(items.mentions) - 1, *range(len(items.mentions) - 1)]
    return FeatureExamples(encoded, rows, entities, items.answers, options(), InBatch(), items.numbers)


def held(content: BatchItems) -> dict[str, Tensor]:
    """The tensors of either kind."""
    return content.encoded.tensors() if isinstance(content, EncodedItems) else content.inputs


def surfaces(content: BatchItems) -> list[tuple[str, ...]]:
    return list(content.encoded.surfaces or ()) if isinstance(content, EncodedItems) else content.surfaces


def tensors(batched: Batched) -> dict[str, Tensor]:
    sides = {"mention": batched.mentions, "entity": batched.entities}
    return {f"{side} {name}": tensor for side, content in sides.items() for name, tensor in held(content).items()} | {
        "rows": batched.entity_rows
    }


def equal(one: Batched, other: Batched) -> bool:
    first, second = tensors(one), tensors(other)
    alike = all(torch.equal(first[name], second[name]) for name in first)
    named = [(surfaces(batched.mentions), surfaces(batched.entities)) for batched in (one, other)]
    return alike and named[0] == named[1]


def test_a_batch_holds_each_mention_beside_its_entity(items: ItemExamples, features: FeatureExamples) -> None:
    for examples in (items, features):
        batched = examples.batch(PLAN, 0, ROWS)
        assert batched.entity_rows.tolist() == [items.numbers[items.answers[row]] for row in ROWS]
        assert surfaces(batched.mentions) == [(items.mentions[row].surface,) for row in ROWS]
        assert surfaces(batched.entities) == [items.dataset.entities[items.answers[row]].names for row in ROWS]


@torch.inference_mode()
def test_stored_features_are_those_of_the_items(items: ItemExamples, features: FeatureExamples) -> None:
    read, stored = items.batch(PLAN, 0, ROWS), features.batch(PLAN, 0, ROWS)
    for inputs, kept in ((read.mentions, stored.mentions), (read.entities, stored.entities)):
        computed = inputs.features(items.encoder)
        for name, tensor in computed.tensors().items():
            valid = computed.text_mask[..., None] if name == "text_tokens" else True
            torch.testing.assert_close(held(kept)[name] * valid, tensor * valid, rtol=0, atol=1e-5)


def test_texts_of_a_batch_are_no_longer_than_its_longest(features: FeatureExamples) -> None:
    longest = features.mentions.text_mask.sum(dim=1)
    shortest = int(longest.argmin())
    wanted = [features.rows.index(shortest)] if shortest in features.rows else [0]
    mentions = features.batch(PLAN, 0, np.array(wanted)).mentions
    assert held(mentions)["text_mask"].all()


@pytest.mark.parametrize("kind", ["items", "features"])
def test_an_example_is_a_function_of_seed_epoch_and_row(kind: str, request: pytest.FixtureRequest) -> None:
    examples = request.getfixturevalue(kind)
    examples = replace(examples, training=options(augment=True, drop_text=0.5, drop_image=0.5))
    first = examples.batch(PLAN, 1, ROWS)
    examples.batch(PLAN, 2, ROWS)
    assert equal(examples.batch(PLAN, 1, ROWS), first)
    assert not equal(examples.batch(PLAN, 2, ROWS), first)
    assert not equal(examples.batch(replace(PLAN, seed=6), 1, ROWS), first)
    other = BatchPlan(PLAN.mentions, 3, PLAN.seed)  # batches of another size hold the same examples
    assert equal(examples.batch(other, 1, ROWS), first)


def test_pictures_are_varied_only_when_asked(items: ItemExamples) -> None:
    plain = items.batch(PLAN, 0, ROWS)
    assert equal(items.batch(PLAN, 1, ROWS), plain)
    varied = replace(items, training=options(augment=True)).batch(PLAN, 0, ROWS)
    for side in ("mention", "entity"):
        assert not torch.equal(tensors(varied)[f"{side} pixels"], tensors(plain)[f"{side} pixels"])
        assert torch.equal(tensors(varied)[f"{side} input_ids"], tensors(plain)[f"{side} input_ids"])


def test_an_entity_shows_another_of_its_pictures_in_another_epoch(items: ItemExamples) -> None:
    entities = [
        entity.model_copy(update={"images": tuple(f"images/{n}.png" for n in range(4))})
        for entity in items.dataset.entities
    ]
    examples = replace(items, dataset=replace(items.dataset, entities=entities))
    shown = {tensors(examples.batch(PLAN, epoch, ROWS[:1]))["entity pixels"].numpy().tobytes() for epoch in range(30)}
    assert len(shown) == 4


@pytest.mark.parametrize("kind", ["items", "features"])
def test_hiding_never_leaves_an_item_with_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    examples = request.getfixturevalue(kind)
    examples = replace(examples, training=options(drop_text=0.6, drop_image=0.6))
    plain, pictures, texts = request.getfixturevalue(kind).batch(PLAN, 0, np.arange(35)), 0, 0
    for epoch in range(3):
        batched = examples.batch(PLAN, epoch, np.arange(35))
        for name in ("mentions", "entities"):
            (text, image), (had_text, had_image) = has(getattr(batched, name)), has(getattr(plain, name))
            assert (text | image).all()
            assert not (text & ~had_text).any()
            assert not (image & ~had_image).any()
            pictures += int((had_image & ~image).sum())
            texts += int((had_text & ~text).sum())
            named = [bool(row) for row in surfaces(getattr(batched, name))]
            assert named == text.tolist()  # who has no text has no name either
    assert pictures > 20
    assert texts > 20


def test_pictures_without_texts_are_never_hidden(items: ItemExamples) -> None:
    plain = replace(items, modalities=frozenset({"image"}))
    hiding = replace(plain, training=options(drop_text=0.6, drop_image=0.6))
    assert equal(hiding.batch(PLAN, 0, np.arange(35)), plain.batch(PLAN, 0, np.arange(35)))


def test_an_encoder_that_sees_nothing_is_left_its_texts(items: ItemExamples) -> None:
    blind = Towers("blind", items.encoder.text, None, items.encoder.separator)
    examples = replace(items, encoder=blind, training=options(drop_text=0.9, drop_image=0.9))
    batched = examples.batch(PLAN, 0, np.arange(35))
    assert held(batched.mentions)["has_text"].all()
    assert held(batched.entities)["has_text"].all()


def has(content: Any) -> tuple[Tensor, Tensor]:
    """[n] booleans each: whether there is a text, and a picture."""
    if isinstance(content, EncodedItems):
        return content.encoded.has_text, content.encoded.has_image
    return content.inputs["has_text"], content.inputs["image_mask"]


def further(items: BatchItems) -> FurtherInputs | None:
    assert isinstance(items, PreparedItems)
    return items.further


def test_of_several_stored_pictures_all_are_shown(features: FeatureExamples) -> None:
    single = features.entities
    further = FurtherPictures(
        torch.ones(len(single), dtype=torch.long),
        -single.image_global,  # type: ignore[operator]
        -single.image_tokens,  # type: ignore[operator]
        torch.ones(len(single), dtype=torch.bool),
    )
    several = replace(features, entities=replace(single, further=further)).batch(PLAN, 3, ROWS)
    assert equal(several, features.batch(PLAN, 3, ROWS))
    assert isinstance(several.entities, EncodedItems)
    encoded = several.entities.encoded
    assert encoded.further is not None
    assert torch.equal(encoded.further.image_global, -encoded.image_global)  # type: ignore[operator]


@pytest.mark.parametrize("augment", [False, True])
def test_with_one_picture_each_nothing_changes(items: ItemExamples, augment: bool) -> None:
    single = replace(items, training=options(augment=augment, drop_image=0.3))
    several = replace(single, pictures=4)
    for epoch in range(2):
        one, other = single.batch(PLAN, epoch, ROWS), several.batch(PLAN, epoch, ROWS)
        assert equal(one, other)
        assert further(other.mentions) is further(other.entities) is None


def test_every_picture_that_linking_compares_is_read(items: ItemExamples) -> None:
    dataset = with_more_pictures(items.dataset)
    mentions = [mention for mention in dataset.split("train") if mention.answer is not None]
    examples = replace(items, dataset=dataset, mentions=mentions, pictures=2)
    batched = examples.batch(PLAN, 0, ROWS)
    of_mentions, of_entities = further(batched.mentions), further(batched.entities)
    assert of_mentions is not None
    assert of_entities is not None
    expected = [min(len(dataset.entities[examples.answers[row]].images), 2) - 1 for row in ROWS]
    assert of_entities.counts.tolist() == expected
    assert of_mentions.counts.tolist() == [max(min(len(mentions[row].images), 2), 1) - 1 for row in ROWS]
    assert of_mentions.counts.sum() > 0
    varied = further(replace(examples, training=options(augment=True)).batch(PLAN, 0, ROWS).entities)
    assert varied is not None
    assert not torch.equal(of_entities.inputs["pixels"], varied.inputs["pixels"])


def test_who_hides_its_picture_hides_all(items: ItemExamples) -> None:
    dataset = with_more_pictures(items.dataset)
    examples = replace(items, dataset=dataset, pictures=4, training=options(drop_image=0.99))
    assert further(examples.batch(PLAN, 0, ROWS).entities) is None
