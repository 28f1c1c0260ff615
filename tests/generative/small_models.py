"""Tiny random causal language models of the common kinds, and the slow, plain way to score a name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from melder.generative.prefilled import Prompt

__all__ = ["END", "KINDS", "VOCABULARY", "plain_sums", "prompts", "small_model"]

VOCABULARY, WIDTH, END = 14, 16, 1
_PAIRED = {"num_key_value_heads": 2, "intermediate_size": 24, "head_dim": 4}
_SIZES = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
_TOKENS = {"bos_token_id": 0, "eos_token_id": END, "pad_token_id": 2, "max_position_embeddings": 64}
KINDS = {
    "opt": lambda: OPTForCausalLM(OPTConfig(**_SIZES, **_TOKENS, ffn_dim=24, word_embed_proj_dim=8)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=64, **_TOKENS)
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES, **_TOKENS, **_PAIRED)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SIZES, **_TOKENS, **_PAIRED)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**_SIZES, **_TOKENS, **_PAIRED)),
}


@cache
def small_model(kind: str, attention: str = "sdpa") -> Any:
    """A model whose random weights are large, so that tokens differ a lot in probability."""
    torch.manual_seed(3)
    model = KINDS[kind]().eval().requires_grad_(False)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.normal_(std=0.35)
    model.set_attn_implementation(attention)
    return model


def prompts(model: Any, lengths: Sequence[int], seed: int = 0) -> Prompt:
    """Random prompts of these lengths, padded on the left with something large."""
    generator = torch.Generator().manual_seed(seed)
    width, longest = model.get_input_embeddings().embedding_dim, max(lengths)
    embeddings = torch.randn(len(lengths), longest, width, generator=generator)
    mask = torch.tensor([[0] * (longest - length) + [1] * length for length in lengths])
    embeddings[mask == 0] = 100.0
    return Prompt(embeddings, mask)


def plain_sums(model: Any, prompt: Prompt, rows: Sequence[Sequence[int]]) -> np.ndarray:
    """[prompts, rows] one prompt at a time, not padded before the rows, without a cache."""
    embed, sums = model.get_input_embeddings(), np.zeros((len(prompt), len(rows)))
    for i, (embeddings, mask) in enumerate(zip(prompt.inputs_embeds, prompt.attention_mask, strict=True)):
        own = embeddings[mask.bool()]
        targets = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)  # behind, where none looks
        inputs = torch.cat([own.expand(len(rows), -1, -1), embed(targets)], dim=1)
        logits = model(inputs_embeds=inputs).logits[:, len(own) - 1 : -1]
        values = logits.double().log_softmax(dim=-1).gather(2, targets[:, :, None])[:, :, 0]
        sums[i] = [float(line[: len(row)].sum()) for line, row in zip(values, rows, strict=True)]
    return sums
