"""A tower makes the same of an item each time, whatever stands beside it; a model that does not is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import architectures
import pytest
import tiny_models
import torch
from architectures import VISION, Architecture

from melder.encoders import build_encoder, load_encoder
from melder.records import Item, MelderError

MASKED = {"decoder_num_hidden_layers": 1, "decoder_hidden_size": 16, "decoder_num_attention_heads": 2}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "ViTMAEConfig": (MASKED, "ViTImageProcessor", "it gives other features each time, as one does that hides parts"),
    "PixtralVisionConfig": ({"head_dim": 12}, "PixtralImageProcessor", "it joins several pictures into one"),
    "VideoMAEConfig": ({"num_frames": 2}, "VideoMAEImageProcessor", "it does not read plain pictures"),
}


@pytest.mark.parametrize("config", REFUSED)
def test_pictures_that_depend_on_others_or_on_chance_are_refused(config: str, tmp_path: Path) -> None:
    more, processor, reason = REFUSED[config]
    directory = tmp_path / "model"
    Architecture(config, "pictures", config, lambda n: {**VISION, **more}, processor).write(directory)
    with pytest.raises(MelderError, match=reason) as caught:
        build_encoder(f"paired:{tiny_models.bert(tmp_path / 'bert')}+{directory}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", ["ConvBertConfig", "FNetConfig", "MobileBertConfig"])
def test_a_text_does_not_depend_on_its_batch_where_padding_is_read(config: str, tmp_path: Path) -> None:
    small = {"embedding_size": 8, "intra_bottleneck_size": 16, "true_hidden_size": 16}
    more = small if config == "MobileBertConfig" else {}
    directory = Architecture(config, "text", config, lambda n: {**architectures._bert_like(n), **more}).write(tmp_path)
    encoder = build_encoder(f"paired:{directory}+none", text_length=16)
    assert encoder.text.tokens.padded == 16
    encoder.save(tmp_path / "saved")
    loaded = load_encoder(tmp_path / "saved")
    loaded.load_state_dict(encoder.state_dict())
    items = [Item(text) for text in tiny_models.TEXTS]
    with torch.no_grad():
        together, again = (towers(towers.prepare(items)).text_global for towers in (encoder, loaded))
        alone = torch.cat([encoder(encoder.prepare([item])).text_global for item in items])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.equal(together, again)


def test_a_model_that_does_not_read_padding_is_not_slowed(tmp_path: Path) -> None:
    encoder = build_encoder(f"paired:{tiny_models.bert(tmp_path)}+none", text_length=32)
    assert encoder.text.tokens.padded is None


def test_statistics_of_normalisation_are_not_those_of_a_batch(tmp_path: Path, pictures: dict[str, Path]) -> None:
    directory = architectures.of_name("ResNet").write(tmp_path / "model")
    encoder = build_encoder(f"paired:{tiny_models.bert(tmp_path / 'bert')}+{directory}").train()
    items = [Item("", file) for file in pictures.values()]
    with torch.no_grad():
        together, alone = encoder(encoder.prepare(items)).image_global, encoder(encoder.prepare(items[:1])).image_global
    assert torch.allclose(together[:1], alone, atol=1e-5)


def test_any_number_of_positions_is_no_limit(tmp_path: Path) -> None:
    settings = {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32, "pad_token_id": 0}
    directory = Architecture("XLNet", "text", "XLNetConfig", lambda n: {**settings, "vocab_size": n}).write(tmp_path)
    build_encoder(f"paired:{directory}+none", text_length=40)
