"""A frozen causal language model of transformers with its tokenizer, and how it writes names.

A name is written without any token of beginning, and ends with the model's token of end: `tokens(name) + [end]`. Names
stand by themselves: a tokenizer that puts a space before every text (SentencePiece) does so before a name too, in
prompts and in the trie alike; one that does not (byte-level BPE) does not. Either way a name that cannot be read back
from its tokens is refused, since decoding could never answer it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from melder.encoders.pretrained import read_model, read_tokenizer
from melder.encoders.sources import ModelSource, find_source
from melder.generative.gguf_models import find_gguf, keep_gguf, read_gguf
from melder.protocols import Precision
from melder.records import MelderError

__all__ = ["LanguageModel", "open_language_model", "read_language_model"]

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
SHOWN = 3  # names that a message lists


class LanguageModel(nn.Module):
    """A causal language model whose weights never change.

    Args:
        name: What it was opened by; model, tokenizer: transformers' own width: of its token embeddings; limit:
            positions that it was made for, None = any number end, pad: token ids; a model without padding pads with its
            end, behind the attention mask.
        dropout: Leave dropout on in training, as the published code does (its `model.train()` reaches the frozen
            model); False keeps the model in evaluation mode whatever happens around it.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any, *, dropout: bool = False) -> None:
        super().__init__()
        self.name, self.tokenizer, self.dropout = name, tokenizer, dropout
        self.model = model.requires_grad_(False)
        self.width: int = model.get_input_embeddings().embedding_dim
        self.limit: int | None = getattr(model.config, "max_position_embeddings", None)
        self.end = _end(name, model, tokenizer)
        pad = tokenizer.pad_token_id
        self.pad: int = self.end if pad is None else pad
        self.eval()

    def train(self, mode: bool = True) -> LanguageModel:
        super().train(mode and self.dropout)
        return self

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, without tokens of beginning or end."""
        if not texts:
            return []
        backend = self._backend
        if backend is None:
            rows: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
            return rows
        encode = getattr(backend, "encode_batch_fast", backend.encode_batch)  # the same ids, sooner
        return [encoding.ids for encoding in encode(list(texts), add_special_tokens=False)]

    def text(self, tokens: Sequence[int]) -> str:
        """The text that tokens stand for; those of beginning, end and padding are left out."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def name_tokens(self, names: Sequence[str]) -> list[list[int]]:
        """The token ids of each name, its end included.

        Raises:
            MelderError: A name is empty, or is not what its tokens stand for.
        """
        rows = self.tokens(names)
        backend = self._backend
        read = map(self.text, rows) if backend is None else backend.decode_batch(rows)
        lost = [name for name, row, text in zip(names, rows, read, strict=True) if not row or text != name]
        if lost:
            examples = ", ".join(repr(name) for name in lost[:SHOWN]) + (" …" if len(lost) > SHOWN else "")
            raise MelderError(
                f"language model '{self.name}': its tokenizer cannot write {len(lost):,} names ({examples}): read "
                "back from their tokens they are others; use a model whose tokenizer keeps case, blanks and characters"
            )
        for row in rows:
            row.append(self.end)
        return rows

    @property
    def tokenizer_digest(self) -> str | None:
        """SHA-256 of all that the tokens of a name depend on; None where the tokenizer cannot say."""
        backend = self._backend
        return None if backend is None else hashlib.sha256(f"{self.end} {backend.to_str()}".encode()).hexdigest()

    @property
    def _backend(self) -> Any:
        """What takes many texts at once: the tokenizer of `tokenizers` within that of transformers, if there is one."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is not None:
            backend.no_truncation()
            backend.no_padding()
            backend.encode_special_tokens = self.tokenizer.split_special_tokens
        return backend

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings [..., width] of token ids [...]."""
        embeddings: Tensor = self.model.get_input_embeddings()(tokens)
        return embeddings

    @property
    def learns(self) -> bool:
        """Some of its weights are being trained."""
        return any(parameter.requires_grad for parameter in self.model.parameters())

    @property
    def embedding_deviation(self) -> float:
        """The standard deviation of the numbers of its token embeddings."""
        return float(self.model.get_input_embeddings().weight.detach().float().std())

    @property
    def device(self) -> torch.device:
        return self.model.get_input_embeddings().weight.device  # type: ignore[no-any-return]

    @property
    def dtype(self) -> torch.dtype:
        return self.model.get_input_embeddings().weight.dtype  # type: ignore[no-any-return]

    def save(self, directory: Path) -> None:
        """Write the model and its tokenizer, as transformers reads them; weights as safetensors."""
        progress_bar = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        self.model.save_pretrained(directory)
        self.tokenizer.save_pretrained(directory)
        if progress_bar:
            logging.enable_progress_bar()


def open_language_model(
    spec: str, *, precision: Precision = "float32", dropout: bool = False, kept: Path | None = None
) -> LanguageModel:
    """The language model that `spec` names: a directory, `python:<package>`, `gguf:<file>`, or a name on the hub.

    Args:
        spec: What it is.
        precision: What it computes in.
        dropout: Leave its dropout on in training, as the published code does.
        kept: A directory where a GGUF file's weights are kept as plain numbers, so that they are made once.

    Returns:
        In evaluation mode, on the CPU.

    Raises:
        MelderError: There is none; downloads only what is named by a hub name.
    """
    file = find_gguf(spec)
    if file is None:
        return read_language_model(find_source(spec), precision=precision, dropout=dropout)
    source = None if kept is None else keep_gguf(file, kept)
    if source is not None:
        return read_language_model(source, precision=precision, dropout=dropout)
    return LanguageModel(spec, *read_gguf(file, TYPES[precision]), dropout=dropout)


def read_language_model(
    source: ModelSource, *, precision: Precision = "float32", dropout: bool = False
) -> LanguageModel:
    """The language model of a source, with its weights; no code that comes with it is run.

    Args:
        source: Where it is.
        precision: What it computes in.
        dropout: As for `open_language_model`.

    Returns:
        In evaluation mode, on the CPU.

    Raises:
        MelderError: It cannot be read, or weights are missing.
    """
    model, _ = read_model(AutoModelForCausalLM, source, dtype=TYPES[precision])
    return LanguageModel(source.name, model, read_tokenizer(source), dropout=dropout)


def _end(name: str, model: Any, tokenizer: Any) -> int:
    """The token that ends a text: the tokenizer's, or the model's first one."""
    end = tokenizer.eos_token_id
    if end is None:
        end = model.config.eos_token_id
    if isinstance(end, list):
        end = end[0] if end else None
    if end is None:
        raise MelderError(
            f"language model '{name}' has no token of end, so no name could ever be finished; use another"
        )
    return int(end)
