"""Sentence encoders give what sentence-transformers itself gives, with its prompts and widths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from architectures import of_name

from melder.data import entity_items, mention_items
from melder.encoders import build_encoder, load_encoder
from melder.encoders.towers import Towers
from melder.records import Entity, Item, MelderError, Mention

sentence_transformers = pytest.importorskip("sentence_transformers", reason="a development dependency")

MENTIONS = [Mention(id=str(n), text=text, surface="Guinea") for n, text in enumerate(tiny_models.TEXTS)]
ENTITIES = [Entity(id=str(n), name=text.split()[0], description=text) for n, text in enumerate(tiny_models.TEXTS)]
PROMPTS = {"query": "apple of ", "document": "Golden toss "}


class NoPictures:
    def mention_image(self, path: str) -> Path:
        raise AssertionError

    entity_image = mention_image


def _texts(items: list[Item]) -> list[str]:
    return [item.text for item in items]


def _compare(directory: Path, *, width: int | None = None, encoder: Towers | None = None) -> None:
    """Melder's vectors of mentions and entities are those of queries and documents."""
    encoder = encoder or build_encoder(f"paired:{directory}+none", width=width)
    theirs = sentence_transformers.SentenceTransformer(str(directory), device="cpu", truncate_dim=width)
    mentions = mention_items(MENTIONS, NoPictures(), encoder.separator)
    entities = entity_items(ENTITIES, NoPictures(), encoder.separator)
    options = {"normalize_embeddings": True, "convert_to_tensor": True}
    with torch.no_grad():
        queries, documents = (encoder(encoder.prepare(items)).text_global for items in (mentions, entities))
    assert torch.allclose(queries, theirs.encode_query(_texts(mentions), **options), atol=1e-5)
    assert torch.allclose(documents, theirs.encode_document(_texts(entities), **options), atol=1e-5)


def _qwen(directory: Path) -> Path:
    of_name("Qwen3").write(directory)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(directory)
    return directory


def _gemma(directory: Path) -> Path:
    return of_name("Gemma 3 (text)").write(directory)


MODELS: dict[str, dict[str, Any]] = {
    "mean": {},
    "cls": {"pooling": "cls", "modules": ["Normalize"]},
    "max": {"pooling": "max"},
    "weighted mean": {"pooling": "weightedmean"},
    "mean by the root of the length": {"pooling": "mean_sqrt_len_tokens", "modules": ["Dense"]},
    "last token": {"pooling": "lasttoken"},
    "two poolings": {"pooling": ["mean", "cls"]},
    "two poolings and a layer": {"pooling": ["max", "lasttoken"], "modules": ["Dense", "Normalize"]},
    "LaBSE": {"pooling": "cls", "modules": ["Dense", "Normalize"]},
    "EmbeddingGemma": {
        "transformer": _gemma,
        "modules": ["Dense", "Dense", "Normalize"],
        "dense": {"bias": False, "activation_function": "torch.nn.modules.linear.Identity"},
        "prompts": PROMPTS,
    },
    "Qwen3-Embedding": {"transformer": _qwen, "pooling": "lasttoken", "modules": ["Normalize"], "prompts": PROMPTS},
    "a residual layer": {"modules": ["Dense"], "dense": {"use_residual": True}},
    "prompts": {"prompts": PROMPTS},
    "a prompt of queries alone": {"prompts": {"query": "apple "}},
}


@pytest.mark.parametrize("name", MODELS)
def test_vectors_are_those_of_sentence_transformers(name: str, tmp_path: Path) -> None:
    _compare(tiny_models.sentence_encoder(tmp_path, **MODELS[name]))


@pytest.mark.parametrize("name", ["EmbeddingGemma", "Qwen3-Embedding", "two poolings"])
def test_a_width_keeps_the_first_numbers(name: str, tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, **MODELS[name])
    encoder = build_encoder(f"paired:{directory}+none", width=5)
    assert encoder.sizes.text_global == 5
    _compare(directory, width=5)


@pytest.mark.parametrize("name", ["EmbeddingGemma", "Qwen3-Embedding", "two poolings and a layer"])
def test_saved_it_is_the_same(name: str, tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path / "model", **MODELS[name])
    encoder = build_encoder(f"paired:{directory}+none", width=7)
    encoder.save(tmp_path / "saved")
    loaded = load_encoder(tmp_path / "saved")
    loaded.load_state_dict(encoder.state_dict())
    _compare(directory, width=7, encoder=loaded)


def test_lower_case_is_the_models(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path)
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 48, "do_lower_case": True}))
    _compare(directory)
    encoder = build_encoder(f"paired:{directory}+none")
    upper, lower = encoder(encoder.prepare([Item("TOSS"), Item("toss")])).text_global
    assert torch.equal(upper, lower)


def test_the_prompt_of_passages_is_that_of_entities(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, prompts={"query": "apple ", "passage": "toss "})
    encoder = build_encoder(f"paired:{directory}+none")
    assert encoder.text.tokens.prompts == {"mention": "apple ", "entity": "toss "}


def test_a_transformer_in_a_folder_of_its_own_is_found(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path)
    folder = directory / "0_Transformer"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (directory / name).rename(folder / name)
    rows = json.loads((directory / "modules.json").read_text())
    rows[0]["path"] = folder.name
    (directory / "modules.json").write_text(json.dumps(rows))
    _compare(directory)


@pytest.mark.parametrize("kinds", [["CNN"], ["Dense", "WordWeights"], ["LayerNorm"], ["Dropout"]])
def test_other_modules_are_refused_by_name(kinds: list[str], tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, modules=kinds)
    with pytest.raises(MelderError, match=f"modules.json: has modules Transformer, Pooling, {', '.join(kinds)}; a te"):
        build_encoder(f"paired:{directory}+none")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False}, "leaves the prompt out"),
        (
            "2_Dense/config.json",
            {"module_input_name": "token_embeddings"},
            "its Dense reads or writes token_embeddings",
        ),
        ("sentence_bert_config.json", {"transformer_task": "text-generation"}, "its transformer does text-generation"),
        ("modules.json", None, "modules.json: is no JSON"),
    ],
)
def test_what_is_not_computed_is_refused(file: str, content: object, message: str, tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, modules=["Dense"], prompts=PROMPTS)
    (directory / file).write_text("[" if content is None else json.dumps(content))
    with pytest.raises(MelderError, match=message) as caught:
        build_encoder(f"paired:{directory}+none")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["clip:{clip}", "clip:compact", "paired:{bert}+none"])
def test_a_width_that_vectors_do_not_have_is_refused(spec: str, tmp_path: Path) -> None:
    models = {"clip": tiny_models.clip(tmp_path / "clip"), "bert": tiny_models.bert(tmp_path / "bert")}
    with pytest.raises(
        MelderError, match=r"encoder\.width is 4000, but texts of .* which cannot be cut to that"
    ) as caught:
        build_encoder(spec.format(**models), width=4000)
    assert "\n" not in str(caught.value)
