"""Of several pictures training reads those that linking compares, and makes their scores one by the same rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from melder.data import MODALITIES, DataSet, entity_items, load, mention_items
from melder.methods import METHODS, build_matcher
from melder.ops.picture_scores import Pooling
from melder.runs.model import Model
from melder.training.batched import Batched, PreparedItems
from melder.training.configuration import Configuration
from melder.training.examples import FeatureExamples, ItemExamples
from melder.training.loop.module import batch_scores
from melder.training.negatives.model_free import InBatch
from melder.training.order import BatchPlan
from melder.training.prepare import build_model
from rounding import close
from training.small import settings, with_more_pictures

ROWS = np.arange(12)
PLAN = BatchPlan(len(ROWS), len(ROWS), seed=1)
TERMS = 4096  # of the sums from a small encoder's pixels to a score


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> DataSet:
    return with_more_pictures(load(small_data))


class Prepared:
    """An encoder, and a batch of its training in both forms, without anything hidden."""

    def __init__(self, dataset: DataSet) -> None:
        content = settings(dataset.directory, trained=True, drop_text=0.0, drop_image=0.0)
        configuration = Configuration(**content)
        train = [mention for mention in dataset.split("train") if mention.answer is not None]
        self.model = build_model(configuration, dataset, train).eval()
        row_of = {entity.id: row for row, entity in enumerate(dataset.entities)}
        answers = [row_of[str(mention.answer)] for mention in train]
        encoder, options, negatives = self.model.encoder, configuration.training, InBatch()
        mentions = mention_items(train, dataset, encoder.separator, pictures=4)
        entities = entity_items(dataset.entities, dataset, encoder.separator, pictures=4)
        features = self.model.features(mentions), self.model.features(entities)
        items = ItemExamples(encoder, dataset, train, answers, MODALITIES, options, negatives, configuration.pictures)
        stored = FeatureExamples(
            features[0], range(len(train)), features[1], answers, options, negatives, items.numbers
        )
        self.batches = {"items": items.batch(PLAN, 0, ROWS), "features": stored.batch(PLAN, 0, ROWS)}
        self.linked = features[0][: len(ROWS)], features[1][torch.tensor(answers)[: len(ROWS)]]

    def with_method(self, name: str, rule: Pooling) -> Model:
        method = METHODS.get(name).configuration(name=name, picture_pooling=rule, lexical=False)
        return Model(self.model.encoder, build_matcher(method, self.model.encoder.sizes), "float32").eval()


@pytest.fixture(scope="module")
def prepared(dataset: DataSet) -> Prepared:
    return Prepared(dataset)


def trained(model: Model, batched: Batched) -> Tensor:
    return batch_scores(model, batched, mask_duplicates=True)[1].total


@pytest.mark.parametrize(
    ("method", "rule"), [*(("m3el", rule) for rule in get_args(Pooling)), ("pgmel", "log_mean_exp"), ("clip", "max")]
)
@pytest.mark.parametrize("kind", ["items", "features"])
def test_what_is_trained_is_what_is_scored(prepared: Prepared, method: str, rule: Pooling, kind: str) -> None:
    model = prepared.with_method(method, rule)
    with torch.no_grad():
        scores = trained(model, prepared.batches[kind])
        mentions, entities = model.matcher.mention_side(prepared.linked[0]), prepared.linked[1]
        linked, alone = (
            model.matcher.score(mentions, model.matcher.entity_side(side)).total
            for side in (entities, replace(entities, further=None))
        )
    assert close(scores, linked, TERMS)
    assert not close(alone, linked, TERMS)


def test_further_pictures_teach_the_encoder(prepared: Prepared) -> None:
    model, batched = prepared.with_method("clip", "mean"), prepared.batches["items"]
    assert isinstance(batched.entities, PreparedItems)
    assert batched.entities.further is not None
    gradients = list[Tensor]()
    for entities in (batched.entities, replace(batched.entities, further=None)):
        model.zero_grad()
        trained(model, replace(batched, entities=entities)).square().sum().backward()
        gradients += [p.grad for n, p in model.encoder.named_parameters() if n == "image.projection.weight"]
    assert not close(gradients[0], gradients[1], TERMS)
