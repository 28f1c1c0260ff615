"""Words and the tokens that they are made of."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from melder.encoders.tokens import Tokens
from melder.encoders.vocabulary import train_tokenizer
from melder.encoders.words import words_of


def word_pieces() -> Any:
    """`[CLS] … [SEP]` over pieces of words, as BERT has it."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "golden", "deli", "##cious", "##ness", ".", "'", "s", "apple"]
    model = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(pieces)}, unk_token="[UNK]"))
    model.normalizer = normalizers.BertNormalizer()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", pad_token="[PAD]", model_max_length=64)


def byte_pairs() -> Any:
    return train_tokenizer(["a red kite sleeps", "a red kite by the river"])


def cut(tokenizer: Any, text: str, length: int = 32, fixed: bool = False) -> list[tuple[str, tuple[int, ...]]]:
    found = words_of(text, Tokens(tokenizer, length, fixed=fixed))
    assert found is not None
    return [(text[word.start : word.end], word.tokens) for word in found]


@pytest.mark.parametrize("fixed", [False, True])
def test_pieces_of_a_word_are_joined_and_marks_left_out(fixed: bool) -> None:
    words = cut(word_pieces(), "Golden  deliciousness. Apple's", fixed=fixed)
    assert words == [
        ("Golden", (1,)),
        ("deliciousness", (2, 3, 4)),
        (".", (5,)),
        ("Apple", (6,)),
        ("'", (7,)),
        ("s", (8,)),
    ]


def test_words_that_the_tokenizer_does_not_know_are_words() -> None:
    assert cut(word_pieces(), "a kiwi apple") == [("a", (1,)), ("kiwi", (2,)), ("apple", (3,))]


def test_what_is_cut_off_has_no_words() -> None:
    assert cut(word_pieces(), "golden delicious apple", length=5) == [("golden", (1,)), ("delicious", (2, 3))]


def test_offsets_count_code_points_whatever_the_tokenizer_counts() -> None:
    text = "Zürich 🍋 Kite"
    words = cut(byte_pairs(), text)
    assert [word for word, _ in words] == ["Zürich", "🍋", "Kite"]
    assert [len(tokens) for word, tokens in words if word == "🍋"] != [1]  # its bytes are tokens of their own


def test_scripts_without_spaces_stay_as_the_tokenizer_cut_them() -> None:
    assert [word for word, _ in cut(byte_pairs(), "北京 is 東京")] == ["北", "京", "is", "東", "京"]


@pytest.mark.parametrize("text", ["", "  \n", "\u200b"])
def test_nothing_has_no_words(text: str) -> None:
    assert cut(word_pieces(), text) == []


def test_a_tokenizer_that_knows_no_offsets_gives_none() -> None:
    class Slow:
        is_fast, model_max_length, pad_token = False, 64, "[PAD]"

    assert words_of("an apple", Tokens(Slow(), 16, fixed=False)) is None
