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


def _edit(directory: Path, file: str, **changes: Any) -> None:
    path = directory / file
    content = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(content | changes))


SETTINGS = "config_sentence_transformers.json"
ODD: dict[str, tuple[str, dict[str, Any]]] = {
    "a default prompt is for neither": (SETTINGS, {"prompts": {"x": "apple "}, "default_prompt_name": "x"}),
    "an empty prompt of documents": (SETTINGS, {"prompts": {"document": "", "passage": "toss "}}),
    "no prompt": (SETTINGS, {"prompts": {"query": None, "document": "toss "}}),
    "a prompt that nobody reads": ("1_Pooling/config.json", {"include_prompt": False}),
    "a longer length": ("sentence_bert_config.json", {"max_seq_length": 4096}),
    "an output by name": (
        "sentence_bert_config.json",
        {
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        },
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_directories_are_read_as_there(name: str, tmp_path: Path) -> None:
    file, changes = ODD[name]
    _edit(tiny_models.sentence_encoder(tmp_path), file, **changes)
    _compare(tmp_path)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_cls_token": 1, "pooling_mode_mean_tokens": 0},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
        {"pooling_mode_cls_token": False},
        {},
    ],
)
def test_older_spellings_of_pooling(pooling: dict[str, Any], tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path)
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 20, **pooling}))
    _compare(directory)


@pytest.mark.parametrize("activation", ["torch.nn.ReLU", "torch.nn.modules.activation.GELU"])
def test_other_activations(activation: str, tmp_path: Path) -> None:
    dense = {"activation_function": activation}
    _compare(tiny_models.sentence_encoder(tmp_path, modules=["Dense"], dense=dense))


def test_a_width_of_its_own(tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path)
    _edit(directory, SETTINGS, truncate_dim=5)
    assert build_encoder(f"paired:{directory}+none").sizes.text_global == 5
    _compare(directory)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (SETTINGS, {"model_type": "CrossEncoder"}, "is a CrossEncoder; a text model here is a SentenceTransformer"),
        (SETTINGS, {"model_type": "SparseEncoder"}, "is a SparseEncoder; a text model"),
        ("sentence_bert_config.json", {"query_length": 4}, "its transformer has query_length, which is not computed"),
        ("sentence_bert_config.json", {"query_expansion": {"length": 4}}, "its transformer has query_expansion"),
        (
            "sentence_bert_config.json",
            {"modality_config": {"text": {"method_output_name": "pooler_output"}}},
            "its transformer has the output pooler_output",
        ),
        ("1_Pooling/config.json", {"pooling_mode": None}, "its files of sentence-transformers are damaged"),
        ("2_Dense/config.json", {"in_features": "20"}, "its files of sentence-transformers are damaged"),
    ],
)
def test_what_is_computed_elsewhere_is_refused(
    file: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    directory = tiny_models.sentence_encoder(tmp_path, modules=["Dense"])
    _edit(directory, file, **changes)
    with pytest.raises(MelderError, match=message) as caught:
        build_encoder(f"paired:{directory}+none")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["StaticEmbedding", "Router", "WeightedLayerPooling", "CLIPModel"])
def test_other_beginnings_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    directory = tiny_models.sentence_encoder(tmp_path)
    rows = [{"idx": 0, "name": "0", "path": "", "type": f"sentence_transformers.models.{kind}"}]
    (directory / "modules.json").write_text(json.dumps(rows))
    with pytest.raises(MelderError, match=f"has modules {kind}; a text model here is a Transformer, a Pooling"):
        build_encoder(f"paired:{directory}+none")


def test_a_cross_encoder_is_named(tmp_path: Path) -> None:
    directory = tiny_models.bert(tmp_path)
    _edit(directory, "config.json", sentence_transformers={"activation_fn": "torch.nn.modules.activation.Sigmoid"})
    with pytest.raises(MelderError, match="is a CrossEncoder, which reads two texts at once"):
        build_encoder(f"paired:{directory}+none")
