from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from PIL import Image
from torch.nn.functional import normalize
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from melder.data.items import joined
from melder.encoders import build_encoder, load_encoder
from melder.encoders.tokens import STEP
from melder.records import Item, MelderError


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.clip(tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize("published", [False, True])
def test_text_is_what_clip_itself_gives(directory: Path, published: bool) -> None:
    encoder, clip = build_encoder(f"clip:{directory}", published=published), CLIPModel.from_pretrained(directory)
    padding, step = ("max_length", None) if published else ("longest", STEP)
    tokens = AutoTokenizer.from_pretrained(directory)(
        tiny_models.TEXTS, padding=padding, pad_to_multiple_of=step, max_length=40, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = clip.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        features = encoder(encoder.prepare([Item(text) for text in tiny_models.TEXTS]))
    ends = tokens["input_ids"].argmax(dim=1)  # the first end-of-text token has the highest id
    pooled = expected.last_hidden_state[torch.arange(len(ends)), ends]
    assert torch.allclose(features.text_tokens, expected.last_hidden_state, atol=1e-6)
    assert torch.allclose(features.text_global, normalize(clip.text_projection(pooled), dim=-1), atol=1e-6)
    assert torch.equal(features.text_mask, tokens["attention_mask"].bool())


@pytest.mark.parametrize(("published", "length", "expected"), [(False, 40, 8), (False, 5, 5), (True, 40, 40)])
def test_texts_are_padded_in_steps_and_in_published_mode_to_their_full_length(
    directory: Path, published: bool, length: int, expected: int
) -> None:
    encoder = build_encoder(f"clip:{directory}", published=published, text_length=length)
    inputs = encoder.prepare([Item("Guinea")])
    assert inputs["input_ids"].shape == inputs["attention_mask"].shape == (1, expected)
    assert inputs["attention_mask"].tolist() == [[True] * 3 + [False] * (expected - 3)]


def test_pictures_are_what_clip_itself_gives(directory: Path, pictures: dict[str, Path]) -> None:
    clip, image_processor = CLIPModel.from_pretrained(directory), AutoImageProcessor.from_pretrained(directory)
    squares = [Image.open(file).resize((32, 32), Image.Resampling.LANCZOS) for file in pictures.values()]
    pixels = image_processor(squares, return_tensors="pt")["pixel_values"]
    encoder = build_encoder(f"clip:{directory}")
    with torch.no_grad():
        expected = clip.vision_model(pixel_values=pixels)
        projected = clip.visual_projection(expected.pooler_output)
        features = encoder(encoder.prepare([Item("", file) for file in pictures.values()]))
    assert torch.allclose(features.image_tokens, expected.last_hidden_state, atol=1e-5)
    assert torch.allclose(features.image_global, normalize(projected, dim=-1), atol=1e-5)


def test_a_missing_picture_is_the_mean_colour_in_published_mode(directory: Path) -> None:
    encoder, clip = build_encoder(f"clip:{directory}", published=True), CLIPModel.from_pretrained(directory)
    with torch.no_grad():
        tokens = clip.vision_model(pixel_values=torch.zeros(1, 3, 32, 32)).last_hidden_state
        features = encoder(encoder.prepare([Item("Guinea")]))
    assert torch.allclose(features.image_tokens, tokens, atol=1e-6)
    assert features.image_mask.tolist() == [False]


def test_bytes_are_pictures_too(directory: Path, pictures: dict[str, Path]) -> None:
    encoder = build_encoder(f"clip:{directory}")
    inputs = encoder.prepare([Item("", pictures["red"]), Item("", pictures["red"].read_bytes())])
    assert torch.equal(inputs["pixels"][0], inputs["pixels"][1])


def test_the_published_separator_is_only_for_the_published_clip(directory: Path) -> None:
    assert build_encoder(f"clip:{directory}", published=True).separator == " [SEP] "
    assert build_encoder(f"clip:{directory}").separator == ". "
    assert build_encoder("clip:compact", published=True).separator == " [SEP] "


@pytest.mark.parametrize("published", [False, True])
def test_a_run_says_whether_its_separator_stands_beside_nothing(
    published: bool, directory: Path, tmp_path: Path
) -> None:
    build_encoder(f"clip:{directory}", published=published).save(tmp_path)
    assert joined("Bob", "", load_encoder(tmp_path).separator) == ("Bob [SEP] " if published else "Bob")
    file = tmp_path / "encoder.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content.pop("separator_stands_alone", None)  # as runs of before there was this word have it
    file.write_text(json.dumps(content), encoding="utf-8")
    assert joined("Bob", "", load_encoder(tmp_path).separator) == "Bob"


def test_more_tokens_than_positions_are_refused(directory: Path) -> None:
    with pytest.raises(MelderError, match="text_length is 60, but this text model reads 48 tokens at most"):
        build_encoder(f"clip:{directory}", text_length=60)


def test_long_texts_are_cut(directory: Path) -> None:
    encoder = build_encoder(f"clip:{directory}", text_length=6)
    assert encoder.prepare([Item("Guinea won the toss " * 9)])["input_ids"].shape == (1, 6)


def test_half_precision_checkpoints_are_read_in_float32(directory: Path, tmp_path: Path) -> None:
    tiny_models.clip(tmp_path)
    CLIPModel.from_pretrained(tmp_path).half().save_pretrained(tmp_path)
    parameters = build_encoder(f"clip:{tmp_path}").parameters()
    assert {parameter.dtype for parameter in parameters} == {torch.float32}


def test_weights_in_a_pickle_are_refused(directory: Path, tmp_path: Path) -> None:
    tiny_models.clip(tmp_path)
    weights = CLIPModel.from_pretrained(tmp_path).state_dict()
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(MelderError, match="cannot read model"):
        build_encoder(f"clip:{tmp_path}")


def test_a_view_differs_from_the_plain_picture(directory: Path, pictures: dict[str, Path]) -> None:
    encoder = build_encoder(f"clip:{directory}")
    views = [Item("", pictures["red"], augment=seed) for seed in (None, 1, 1, 2)]
    plain, first, again, second = encoder.prepare(views)["pixels"].numpy()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, plain)
