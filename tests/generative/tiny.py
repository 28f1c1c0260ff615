"""Tiny language models with tokenizers of several kinds, and a finished run of GEMEL on the small data set."""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from melder.generative import LanguageModel
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from training import small

TEXTS = [
    "[Text]A red kite was seen.\n[Question]What does kite mentioned in the text refer to?\n[Answer]Red kite",
    "Blue fox, Green panda, Grey kite; Mercury (planet), Málaga, Apple Inc. and many more names",
]
WIDTH = 16


def gpt2() -> LanguageModel:
    """Byte-level BPE, no leading space; one token is beginning, end and padding."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<|endoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>"
    )
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=WIDTH, n_layer=1, n_head=2, n_positions=256)
    torch.manual_seed(0)
    return LanguageModel("gpt2", GPT2LMHeadModel(config), tokenizer)


def llama() -> LanguageModel:
    """SentencePiece-like: a space before every text, bytes for what is unknown, and a token of beginning of its own."""
    bpe = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    bpe.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bpe.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=list(ascii_letters), show_progress=False
    )
    bpe.train_from_iterator(TEXTS, trainer)
    marks = [("<s>", bpe.token_to_id("<s>"))]
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=marks)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    shape = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=256, **shape))
    return LanguageModel("llama", model, tokenizer)


def qwen() -> LanguageModel:
    """No token of beginning at all; the end is the model's to say, as a list."""
    known = gpt2().tokenizer
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=known.backend_tokenizer, pad_token="<|endoftext|>")
    shape = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Qwen2Config(vocab_size=len(tokenizer), num_key_value_heads=1, max_position_embeddings=256, **shape)
    config.eos_token_id = [0, 1]
    torch.manual_seed(0)
    return LanguageModel("qwen", Qwen2ForCausalLM(config), tokenizer)


KINDS = {"gpt2": gpt2, "llama": llama, "qwen": qwen}


def settings(data: Path, **method: Any) -> dict[str, Any]:
    """A configuration whose training takes a second or two."""
    content = small.settings(data, batch_size=10, learning_rate=1e-2)
    content["training"] |= {"drop_text": 0.0, "warmup_steps": 1}
    content["encoder"]["text_length"] = 16
    compact = {"width": WIDTH, "layers": 1, "heads": 2, "steps": 6, "batch_size": 4}
    shown = {"count": 2}
    content["method"] = {"name": "gemel", "language_model": "lm:compact", "compact": compact, "demonstrations": shown}
    content["method"] |= method
    return content


def run() -> Path:
    """A finished run of GEMEL."""
    return small.once("gemel", lambda out: _train_into(out))


def _train_into(out: Path) -> None:
    train(Configuration(**settings(small.small_data())), out)
