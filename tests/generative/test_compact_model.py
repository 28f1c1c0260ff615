"""The small language model: what it reads, that it learns, and that the same records give the same model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from melder.generative.compact_model import Texts, TrainingSentence, _Reader, train_compact
from melder.generative.language_model import LanguageModel
from melder.generative.prompt import Template
from melder.methods.gemel import CompactConfiguration

COLOURS = {"Red kite": "ruby ruby ruby", "Blue kite": "navy navy navy", "Green kite": "jade jade jade"}
SMALL = CompactConfiguration(width=64, layers=1, heads=2, steps=100, batch_size=12, learning_rate=3e-3)


@pytest.fixture(scope="module")
def texts() -> Texts:
    examples = [TrainingSentence("It flew.", "kite", name, about, picture=True) for name, about in COLOURS.items()]
    descriptions = [f"{name}. {about}" for name, about in COLOURS.items()]
    return Texts(
        examples, descriptions, Template("[Q]{text} {mention}[A]{answer}\n"), prefix_tokens=4, demonstrations=0
    )


@pytest.fixture(scope="module")
def language_model(texts: Texts) -> LanguageModel:
    return train_compact(texts, SMALL, seed=1)


def test_it_is_frozen_and_writes_every_name(language_model: LanguageModel) -> None:
    assert not any(parameter.requires_grad for parameter in language_model.parameters())
    assert not any(module.training for module in language_model.modules())
    names = ["Red kite", "Málaga", "  two  blanks", "北京 (city)", "e\u0301 apart"]
    assert [language_model.text(tokens) for tokens in language_model.name_tokens(names)] == names


def test_the_same_records_give_the_same_model(texts: Texts, language_model: LanguageModel) -> None:
    short = SMALL.model_copy(update={"steps": 4})
    first, again, other = (train_compact(texts, short, seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert not all(map(torch.equal, first.state_dict().values(), other.state_dict().values()))
    assert again.tokenizer.get_vocab() == language_model.tokenizer.get_vocab()


def test_words_in_the_place_of_the_picture_tell_the_answer(texts: Texts, language_model: LanguageModel) -> None:
    """The text is the same for all three; only what stands before it says which is meant."""
    question = language_model.tokens([texts.template.question("It flew.", "kite")])[0]
    names = language_model.name_tokens(list(COLOURS))
    for right, about in enumerate(COLOURS.values()):
        words = (language_model.tokens([f" {about}"])[0] * 4)[-4:]
        scores = [_log_probability(language_model, [*words, *question], name) for name in names]
        assert max(range(3), key=scores.__getitem__) == right


def test_what_it_reads(texts: Texts, language_model: LanguageModel) -> None:
    """Prefixes are never predicted; answers are marked; a text ends with the end."""
    reader = _Reader(replace(texts, demonstrations=2), language_model, seed=0)
    for step in range(6):
        tokens, labels, answers = reader.batch(step, 8)
        for row, counted, answered in zip(tokens, labels, answers, strict=True):
            length = int((row != language_model.pad).sum())
            assert row[length - 1] == language_model.end
            assert counted[length - 1] == language_model.end
            text = language_model.text(row[counted != -100].tolist())
            if text.startswith("[Q]"):
                blocks = text.count("[Q]")
                assert (counted[:4] == -100).all()
                assert (counted[:length] == -100).sum() == 4 * blocks
                assert language_model.text(row[answered].tolist()).count("kite") == blocks
            else:
                assert text in texts.descriptions
                assert not answered.any()
        again = reader.batch(step, 8)
        assert all(map(torch.equal, (tokens, labels, answers), again))


def _log_probability(language_model: LanguageModel, prompt: list[int], name: list[int]) -> float:
    with torch.inference_mode():
        logits = language_model.model(torch.tensor([prompt + name])).logits[0, len(prompt) - 1 : -1]
    return float(logits.log_softmax(1)[range(len(name)), name].sum())
