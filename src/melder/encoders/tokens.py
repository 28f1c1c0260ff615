"""Texts to token ids, for every text tower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.nn.functional import pad
from transformers import AutoTokenizer

from melder.encoders.sources import ModelSource, reading
from melder.protocols import Inputs
from melder.records import MelderError

__all__ = ["Tokens"]

Tokenizer = Any  # transformers ships no types
STEP = 8  # tokens


class Tokens:
    """A tokenizer with the length that texts are cut to and how they are padded.

    `fixed` pads every text to `length`, as MIMIC's loader does (its matcher reads the states of padding too);
    otherwise a batch is padded to its longest text, in steps of `STEP` tokens: what is computed has few shapes then,
    for each of which libraries keep memory.
    """

    def __init__(self, tokenizer: Tokenizer, length: int, *, fixed: bool, positions: int | None = None) -> None:
        limit = min(tokenizer.model_max_length, positions or tokenizer.model_max_length)
        if length > limit:
            raise MelderError(f"text_length is {length}, but this text model reads {limit} tokens at most: lower it")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"
        self.tokenizer, self.length, self.fixed = tokenizer, length, fixed

    def __call__(self, texts: Sequence[str]) -> Inputs:
        """input_ids and attention_mask (bool), both [n, L]."""
        # Every row needs a token to attend to; the encoder hides the stand-in of an empty text behind its mask.
        filled = [text if text.strip() else "." for text in texts]
        padding = "max_length" if self.fixed else "longest"
        options = {"truncation": True, "max_length": self.length, "return_tensors": "pt"}
        batch = self.tokenizer(filled, padding=padding, return_attention_mask=True, **options)
        longest = batch["input_ids"].shape[1]
        more = (0, min(-(-longest // STEP) * STEP, self.length) - longest)
        ids = pad(batch["input_ids"], more, value=self.tokenizer.pad_token_id)
        return {"input_ids": ids, "attention_mask": pad(batch["attention_mask"].bool(), more)}

    def save(self, directory: Path) -> dict[str, Any]:
        self.tokenizer.save_pretrained(directory / "tokenizer")
        return {"length": self.length, "fixed": self.fixed}

    @staticmethod
    def load(directory: Path, settings: dict[str, Any]) -> Tokens:
        source = ModelSource(str(directory / "tokenizer"), local=True)
        return Tokens(read_tokenizer(source), settings["length"], fixed=settings["fixed"])


def read_tokenizer(source: ModelSource) -> Tokenizer:
    """The tokenizer of a model; never runs code that comes with it."""
    with reading(source):
        return AutoTokenizer.from_pretrained(source.name, local_files_only=source.local)
