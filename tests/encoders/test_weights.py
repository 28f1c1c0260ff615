"""A published model whose files lack weights, or hold others, is an error that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM, BertModel

from melder.encoders import build_encoder
from melder.records import MelderError

Weights = dict[str, torch.Tensor]


def _change(directory: Path, change: Callable[[Weights], Weights]) -> Path:
    file = directory / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
    return directory


def _without(text: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: tensor for name, tensor in weights.items() if text not in name}


def _with(*names: str) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {name: torch.zeros(3) for name in names}


@pytest.mark.parametrize(
    ("form", "write", "lost"),
    [
        ("paired:{}+none", tiny_models.bert, "encoder.layer.1.attention.output.dense.weight"),
        ("clip:{}", tiny_models.clip, "text_projection.weight"),
        ("clip:{}", tiny_models.clip, "vision_model.encoder.layers.0.mlp.fc1.bias"),
        ("joint:{}", tiny_models.clip, "visual_projection.weight"),
    ],
)
def test_missing_weights_are_named(form: str, write: Callable[[Path], Path], lost: str, tmp_path: Path) -> None:
    directory = _change(write(tmp_path), _without(lost))
    with pytest.raises(MelderError, match=f"its files lack .*{lost}; download it again") as caught:
        build_encoder(form.format(directory))
    assert "\n" not in str(caught.value)


def test_many_missing_weights_are_counted(tmp_path: Path) -> None:
    directory = _change(tiny_models.bert(tmp_path), _without("layer.0"))
    with pytest.raises(MelderError, match="and 13 more weights; download it again"):
        build_encoder(f"paired:{directory}+none")


@pytest.mark.parametrize(
    "beside", ["encoder.layer.2.attention.self.query.weight", "embeddings.extra", "encoder.layer.0.lora_A.weight"]
)
def test_weights_beside_those_of_the_model_are_named(beside: str, tmp_path: Path) -> None:
    directory = _change(tiny_models.bert(tmp_path), _with(beside))
    with pytest.raises(MelderError, match=f"its files hold {beside}, which its config.json has no place for"):
        build_encoder(f"paired:{directory}+none")


@pytest.mark.parametrize(
    "change",
    [
        _with("cls.predictions.bias", "classifier.weight", "lm_head.weight", "embeddings.position_ids"),
        _without("pooler."),
    ],
)
def test_heads_that_are_not_used_may_be_there_or_not(change: Callable[[Weights], Weights], tmp_path: Path) -> None:
    build_encoder(f"paired:{_change(tiny_models.bert(tmp_path), change)}+none")


def test_a_model_with_a_head_is_read_without_it(tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path)
    plain = build_encoder(f"paired:{directory}+none").text.model.embeddings.word_embeddings.weight
    model = BertForMaskedLM(BertModel.from_pretrained(directory).config)
    model.bert.load_state_dict(BertModel.from_pretrained(directory).state_dict(), strict=False)
    model.save_pretrained(directory)
    assert torch.equal(build_encoder(f"paired:{directory}+none").text.model.embeddings.word_embeddings.weight, plain)


def test_half_of_a_joint_model_may_be_missing_where_only_the_other_is_read(tmp_path: Path) -> None:
    directory = _change(tiny_models.clip(tmp_path), _without("text_"))
    text = tiny_models.bert(tmp_path / "bert")
    build_encoder(f"paired:{text}+{directory}")
    with pytest.raises(MelderError, match="its files lack text_model"):
        build_encoder(f"paired:{directory}+none")
