"""Language models and cross-encoders on the disk, small enough for a test, and what asks for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from generative import tiny
from melder.generative import LanguageModel
from training import small

COLOURS = ["red", "green", "blue", "grey"]
WORDS = [
    *COLOURS,
    "kite",
    "panda",
    "fox",
    "with",
    "fur",
    "that",
    "sleeps",
    "a",
    "was",
    "seen",
    "river",
    "mill",
    "dusk",
    "hill",
]


def language_model() -> Path:
    """A GPT-2 of random weights with 1,024 positions."""
    return small.once("letters", _write_language_model)


def _write_language_model(directory: Path) -> None:
    tokenizer = tiny.gpt2().tokenizer
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=2, n_head=2, n_positions=1024, bos_token_id=end, eos_token_id=end
    )
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data.normal_(std=0.3)
    LanguageModel("letters", model, tokenizer).save(directory)


def pair_model() -> Path:
    """A BERT that scores pairs, with random weights."""
    return small.once("pairs", _write_pair_model)


def copied_pair_model() -> Path:
    """The same under another name, so that it is not taken for what a run has trained."""
    return small.once("copied pairs", _copy_pair_model)


def headless_pair_model() -> Path:
    """The same without the layer that scores."""
    return small.once("headless", _write_headless)


def _write_pair_model(directory: Path) -> None:
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=128, **names).save_pretrained(directory)
    torch.manual_seed(0)
    _bert(len(vocabulary)).save_pretrained(directory)


def _copy_pair_model(directory: Path) -> None:
    shutil.copytree(pair_model(), directory, dirs_exist_ok=True)


def _bert(words: int) -> BertForSequenceClassification:
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=words, max_position_embeddings=128, num_labels=1, **shape)
    return BertForSequenceClassification(config)


def _write_headless(directory: Path) -> None:
    shutil.copytree(pair_model(), directory, dirs_exist_ok=True)
    model = BertForSequenceClassification.from_pretrained(pair_model())
    model.bert.save_pretrained(directory)


def short(**settings: object) -> list[str]:
    """Settings that read little."""
    given = {"top": 5, "text_length": 40, "entity_length": 16, "shuffles": 2, **settings}
    return [f"rerank.{name}={value}" for name, value in given.items()]


def by_letters(**settings: object) -> list[str]:
    """A language model looks again."""
    return short(model=language_model(), **settings)


def by_pairs(**settings: object) -> list[str]:
    """A model of text pairs looks again."""
    return short(cross=pair_model(), **settings)
