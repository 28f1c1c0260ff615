"""Language models of several families: how they write names, and that they never change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import normalizers

from generative import golden, tiny
from melder.generative import LanguageModel, open_language_model
from melder.records import MelderError

NAMES = ["Red kite", "Mercury (planet)", "Málaga", "Apple Inc.", "北京", "x", "a  double  blank", " mark ▁ ".strip()]


@pytest.fixture(params=tiny.KINDS)
def language_model(request: pytest.FixtureRequest) -> LanguageModel:
    return tiny.KINDS[request.param]()


def test_a_name_can_be_read_back_and_ends_once(language_model: LanguageModel) -> None:
    names = [name for name in NAMES if language_model.name != "llama" or name not in ("北京", "mark ▁")]
    for name, tokens in zip(names, language_model.name_tokens(names), strict=True):
        assert language_model.text(tokens) == name
        assert tokens[-1] == language_model.end
        assert language_model.end not in tokens[:-1]
        assert language_model.tokenizer.bos_token_id not in tokens[:-1]


def test_many_texts_at_once_are_the_tokens_of_transformers(language_model: LanguageModel) -> None:
    texts = [*NAMES, "", " a  b ", "a</s>b<|endoftext|>c"]
    tokenizer = language_model.tokenizer
    expected = tokenizer(texts, add_special_tokens=False)["input_ids"]
    tokenizer.backend_tokenizer.enable_truncation(2)
    digest = language_model.tokenizer_digest
    assert language_model.tokens(texts) == expected
    assert language_model.tokenizer_digest == digest


def test_only_sentencepiece_writes_a_leading_space() -> None:
    first = {kind: make().tokens(["Red"])[0][0] for kind, make in tiny.KINDS.items()}
    pieces = {kind: make().tokenizer.convert_ids_to_tokens(first[kind]) for kind, make in tiny.KINDS.items()}
    assert pieces["llama"].startswith("▁")
    assert pieces["gpt2"].startswith("R")
    assert pieces["qwen"] == pieces["gpt2"]


@pytest.mark.parametrize("name", ["", "<|endoftext|>", "Red<|endoftext|>kite"])
def test_a_name_that_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(MelderError, match=r"'gpt2': its tokenizer cannot write 1 names"):
        tiny.gpt2().name_tokens(["Red kite", name])


def test_a_tokenizer_that_changes_names_is_refused() -> None:
    language_model = tiny.llama()
    language_model.tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(MelderError, match=r"cannot write 1 names \('Kite'\)"):
        language_model.name_tokens(["Kite"])


def test_nothing_has_gradients_and_nothing_leaves_evaluation_mode(language_model: LanguageModel) -> None:
    language_model.train()
    assert not any(parameter.requires_grad for parameter in language_model.parameters())
    assert not any(module.training for module in language_model.modules())


def test_published_mode_leaves_dropout_on() -> None:
    known = tiny.gpt2()
    published = LanguageModel("gpt2", known.model, known.tokenizer, dropout=True).train()
    assert all(module.training for module in published.model.modules())
    assert not any(module.training for module in published.eval().modules())


def test_the_end_is_the_tokenizers_or_the_models_first() -> None:
    assert tiny.qwen().tokenizer.eos_token_id is None
    assert tiny.qwen().end == 0
    assert tiny.llama().end == tiny.llama().tokenizer.convert_tokens_to_ids("</s>")


def test_a_model_without_an_end_is_refused() -> None:
    known = tiny.qwen()
    known.model.config.eos_token_id = None
    with pytest.raises(MelderError, match="'qwen' has no token of end"):
        LanguageModel("qwen", known.model, known.tokenizer)


def test_limits_and_widths(language_model: LanguageModel) -> None:
    assert (language_model.width, language_model.limit) == (tiny.WIDTH, 256)
    assert language_model.embed(torch.tensor([[1, 2]])).shape == (1, 2, tiny.WIDTH)


def test_a_saved_model_is_read_again(language_model: LanguageModel, tmp_path: Path) -> None:
    language_model.save(tmp_path)
    again = open_language_model(str(tmp_path))
    assert again.name_tokens(NAMES[:4]) == language_model.name_tokens(NAMES[:4])
    assert not list(tmp_path.glob("*.bin"))
    tokens = torch.tensor(language_model.tokens(["a red kite"]))
    torch.testing.assert_close(again.model(tokens).logits, language_model.model(tokens).logits)


def test_precision_is_the_language_models(tmp_path: Path) -> None:
    assert open_language_model(str(golden.DIRECTORY / "tiny_opt"), precision="bf16").dtype == torch.bfloat16


@pytest.mark.parametrize("spec", ["no such model!", "python:nowhere", "src"])
def test_what_is_no_model_is_refused(spec: str) -> None:
    with pytest.raises(MelderError, match=r"model"):
        open_language_model(spec)
