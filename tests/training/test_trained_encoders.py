"""Encoders that learn: by layers, at rates of their own, and in parts that memory has room for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from melder.data import MODALITIES, load
from melder.runs.model import Model
from melder.training.batched import Batched
from melder.training.configuration import Configuration
from melder.training.examples import ItemExamples
from melder.training.loop.module import training_losses
from melder.training.loop.optimizer import build_optimizer
from melder.training.negatives.model_free import InBatch
from melder.training.order import BatchPlan
from melder.training.prepare import build_model
from rounding import close
from training.small import settings


def configured(data: Path, encoder: dict[str, Any] | None = None, **training: Any) -> Configuration:
    content = settings(data, trained=True, **training)
    content["encoder"] |= encoder or {}
    return Configuration(**content)


def model_and_batch(data: Path, configuration: Configuration) -> tuple[Model, Batched]:
    dataset = load(data)
    train = [mention for mention in dataset.split("train") if mention.answer is not None]
    model = build_model(configuration, dataset, train)
    model.encoder.eval()  # its dropout would fall otherwise in other parts
    row_of = {entity.id: row for row, entity in enumerate(dataset.entities)}
    answers = [row_of[str(mention.answer)] for mention in train]
    examples = ItemExamples(model.encoder, dataset, train, answers, MODALITIES, configuration.training, InBatch())
    return model, examples.batch(BatchPlan(len(train), 7, seed=1), 0, np.arange(7))


def gradients(model: Model, batched: Batched, encode_at_once: int | None) -> dict[str, Tensor]:
    model.zero_grad()
    losses = training_losses(model, batched, mask_duplicates=True, encode_at_once=encode_at_once)
    torch.stack(list(losses.values())).sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_parts_give_the_gradients_of_the_whole(small_data: Path, at_once: int) -> None:
    model, batched = model_and_batch(small_data, configured(small_data))
    expected, found = gradients(model, batched, None), gradients(model, batched, at_once)
    assert set(found) == set(expected)
    assert any(name.startswith("encoder.image") for name in found)
    for name, gradient in expected.items():
        assert close(found[name], gradient, terms=1000), name


def test_no_more_than_a_part_is_read_with_gradients(small_data: Path) -> None:
    model, batched = model_and_batch(small_data, configured(small_data))
    sizes = list[int]()
    model.encoder.register_forward_pre_hook(lambda _, given: sizes.append(len(next(iter(given[0].values())))))
    gradients(model, batched, 3)
    assert sorted(sizes) == [1] * 4 + [3] * 8  # seven mentions and as many entities, twice each


def test_deeper_layers_learn_more_slowly_where_that_is_asked(small_data: Path) -> None:
    configuration = configured(small_data, layer_decay=0.5, matcher_learning_rate=0.1)
    model, _ = model_and_batch(small_data, configuration)
    rate = configuration.training.learning_rate
    rates = {
        id(p): group["lr"]
        for group in build_optimizer(model, configuration.training).param_groups
        for p in group["params"]
    }
    by_name = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert by_name["encoder.text.projection.weight"] == rate
    assert by_name["encoder.text.model.encoder.layers.0.mlp.fc1.weight"] == rate / 2
    assert by_name["encoder.text.model.embeddings.token_embedding.weight"] == rate / 4
    assert {rate for name, rate in by_name.items() if name.startswith("matcher.")} == {0.1}


def test_only_the_last_layers_learn_where_that_is_asked(small_data: Path) -> None:
    configuration = configured(small_data, {"trained_layers": 1})
    model, batched = model_and_batch(small_data, configuration)
    whole, parts = gradients(model, batched, None), gradients(model, batched, 3)
    assert all(close(parts[name], gradient, terms=1000) for name, gradient in whole.items())
    learned = [name for name in whole if name.startswith("encoder.")]
    assert {"encoder.text.projection.weight", "encoder.image.projection.weight"} <= set(learned)
    assert any("layers.1." in name for name in learned)
    assert not any("layers.0." in name or "embedding" in name or "stages.0." in name for name in learned)


@pytest.mark.parametrize(
    ("encoder", "training"),
    [({"trained_layers": 1}, {}), ({}, {"layer_decay": 0.9}), ({}, {"encode_at_once": 8}), ({}, {"augment": True})],
)
def test_a_frozen_encoder_has_none_of_these(
    small_data: Path, encoder: dict[str, Any], training: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match=r"needs an encoder that is trained: set encoder\.trained: true"):
        configured(small_data, {"trained": False, **encoder}, **training)
