from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from melder.encoders import build_encoder, load_encoder
from melder.encoders.vocabulary import MOST_TOKENS, train_tokenizer
from melder.records import Item


def test_the_same_texts_give_the_same_tokenizer() -> None:
    texts = [f"{word} number {n}" for n in range(200) for word in ("flag", "fruit", "Guinée")]
    first, second = (train_tokenizer(iter(texts)).backend_tokenizer.to_str() for _ in range(2))
    assert first == second


def test_the_vocabulary_is_bounded() -> None:
    texts = [" ".join(f"{a}{b}{c}{d}" for d in "aeioubcdfg") for a in "bcdfg" for b in "aeiou" for c in "klmnp"] * 2
    many = [f"{text} {other}" for text in texts for other in texts[:40]]
    assert 1_000 < len(train_tokenizer(many)) <= MOST_TOKENS


def test_every_string_can_be_written() -> None:
    tokenizer = train_tokenizer(tiny_models.TEXTS)
    text = "Ελλάδα 日本 🇬🇳"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text.lower()
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id


def test_known_words_are_one_token_each() -> None:
    tokenizer = train_tokenizer(["red apple"] * 3)
    assert len(tokenizer("Red APPLE")["input_ids"]) == 4


def test_it_keeps_its_tokenizer_in_its_own_directory(tmp_path: Path) -> None:
    build_encoder("clip:compact", texts=tiny_models.TEXTS).save(tmp_path)
    saved = json.loads((tmp_path / "text" / "tokenizer" / "tokenizer.json").read_text())
    assert saved["model"]["type"] == "BPE"


def test_no_layer_looks_at_the_rest_of_the_batch() -> None:
    encoder = build_encoder("clip:compact")
    assert not [module for module in encoder.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def test_it_reads_96_pixels_into_one_token_and_36_positions(pictures: dict[str, Path]) -> None:
    encoder = build_encoder("clip:compact")
    features = encoder(encoder.prepare([Item("", pictures["red"])]))
    assert features.image_tokens.shape == (1, 37, encoder.sizes.image_tokens)


def test_with_64_pixels_it_has_16_positions_and_is_read_as_it_was_saved(
    pictures: dict[str, Path], tmp_path: Path
) -> None:
    encoder = build_encoder("clip:compact-64")
    features = encoder(encoder.prepare([Item("", pictures["red"])]))
    assert features.image_tokens.shape == (1, 17, encoder.sizes.image_tokens)
    encoder.save(tmp_path)
    again = load_encoder(tmp_path)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(again.prepare([Item("", pictures["red"])])).image_tokens, features.image_tokens)


def test_the_colour_of_a_plain_picture_shows_before_any_training() -> None:
    torch.manual_seed(0)
    encoder = build_encoder("clip:compact")
    inputs = encoder.prepare([Item()] * 3)
    for row, colour in enumerate(tiny_models.COLOURS.values()):
        inputs["pixels"][row] = torch.tensor(colour)[:, None, None]
    inputs["image_mask"][:] = True
    tokens = encoder(inputs).image_tokens
    assert torch.cdist(tokens[:, 0], tokens[:, 0])[~torch.eye(3, dtype=torch.bool)].min() > 1


def test_it_learns_which_name_goes_with_which_picture(pictures: dict[str, Path]) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("clip:compact", texts=list(pictures)).train()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3)
    for step in range(25):
        views = [Item(name, file, augment=step * 10 + row) for row, (name, file) in enumerate(pictures.items())]
        features = encoder(encoder.prepare(views))
        loss = cross_entropy(10 * features.text_global @ features.image_global.T, torch.arange(len(views)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.eval()
    features = encoder(encoder.prepare([Item(name, file) for name, file in pictures.items()]))
    assert (features.text_global @ features.image_global.T).argmax(dim=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_weights(seed: int) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(seed)
        states.append(build_encoder("clip:compact", texts=tiny_models.TEXTS).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
