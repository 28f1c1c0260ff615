"""A tiny Llama with a byte-level tokenizer in a GGUF file, as llama.cpp writes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from generative import tiny

CHAT = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '\n' }}{% endfor %}"
WIDTH, HEADS, INNER = 32, 2, 48


def write_gguf(file: Path, seed: int = 0) -> Path:
    """Weights in float16, drawn by the seed; the tokenizer is that of `tiny.gpt2`."""
    bpe = json.loads(tiny.gpt2().tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].__getitem__)
    writer = GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == "<|endoftext|>" else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in bpe["merges"]])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id, writer.add_unk_token_id):
        add(bpe["vocab"]["<|endoftext|>"])
    writer.add_chat_template(CHAT)
    for name, shape in _shapes(len(tokens)).items():
        draw = np.random.default_rng([seed, len(name), *shape])
        values = draw.standard_normal(shape) / 4 if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(name, values.astype(np.float16 if len(shape) > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    square = {f"blk.0.attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    norms = {f"{name}.weight": (WIDTH,) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")}
    inner = {f"blk.0.ffn_{name}.weight": (INNER, WIDTH) for name in ("gate", "up")}
    return {
        "token_embd.weight": (vocabulary, WIDTH),
        **square,
        **norms,
        **inner,
        "blk.0.ffn_down.weight": (WIDTH, INNER),
    }
