"""Texts to token ids, for every text tower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.nn.functional import pad

from melder.encoders.pretrained import read_tokenizer
from melder.encoders.sources import ModelSource
from melder.protocols import Inputs
from melder.records import MelderError

__all__ = ["Tokens"]

Tokenizer = Any  # transformers ships no types
STEP = 8  # tokens
MOST = 256  # characters for every token that is read: far more than any text has, white space included


class Tokens:
    """A tokenizer with the length that texts are cut to, how they are padded, and what stands before them.

    A batch is padded on the right, to its longest text, in steps of `STEP` tokens: what is computed has few shapes
    then, for each of which libraries keep memory. A row's tokens stand where they would without its batch.

    Args:
        tokenizer: of transformers
        length: tokens that a text is cut to
        fixed: pad every text to `length`, as MIMIC's loader does (its matcher reads the states of padding too)
        positions: tokens that the model can read; None = any number
        padded: pad every text to so many tokens, since the model reads its padding; None = do not
        prompts: what stands before the text of a role (mention, entity)

    Raises:
        MelderError: `length` is above what the model reads
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        length: int,
        *,
        fixed: bool,
        positions: int | None = None,
        padded: int | None = None,
        prompts: Mapping[str, str] | None = None,
    ) -> None:
        # XLNet says -1 for any number of positions.
        limit = (
            min(tokenizer.model_max_length, positions) if positions and positions > 0 else tokenizer.model_max_length
        )
        if length > limit:
            raise MelderError(f"text_length is {length}, but this text model reads {limit} tokens at most: lower it")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        tokenizer.padding_side = "right"
        self.tokenizer, self.length, self.fixed = tokenizer, length, fixed
        self.padded, self.prompts = padded, dict(prompts or {})

    def check_room(self) -> None:
        """Refuse a length that the model's own marks and a prompt fill, so that all texts would be alike.

        Raises:
            MelderError: Then.
        """
        least = max(self.count(prompt) for prompt in ("", *self.prompts.values()))
        if self.length <= least:
            raise MelderError(
                f"text_length is {self.length}, and the model's own marks and prompt are {least} tokens, so that no "
                f"word would be read: raise it above {least}"
            )

    def __call__(self, texts: Sequence[str]) -> Inputs:
        """input_ids and attention_mask (bool), both [n, L]."""
        # Every row needs a token to attend to; the encoder hides the stand-in of an empty text behind its mask.
        filled = [self._begin(text) if text.strip() else "." for text in texts]
        padding = "max_length" if self.fixed else "longest"
        options = {"truncation": True, "max_length": self.length, "return_tensors": "pt"}
        batch = self.tokenizer(filled, padding=padding, return_attention_mask=True, **options)
        longest = batch["input_ids"].shape[1]
        more = (0, (self.padded or min(-(-longest // STEP) * STEP, self.length)) - longest)
        ids = pad(batch["input_ids"], more, value=self.tokenizer.pad_token_id)
        return {"input_ids": ids, "attention_mask": pad(batch["attention_mask"].bool(), more)}

    def count(self, text: str) -> int:
        """How many tokens a text has, with the marks of its beginning and end; of a text that is far longer than what
        is read, more than that."""
        return len(self.tokenizer(self._begin(text), truncation=False, verbose=False)["input_ids"])

    def _begin(self, text: str) -> str:
        """What may be read of a text: tokenizers go through all of it, whatever is cut off afterwards."""
        return text if len(text) <= (most := MOST * self.length) else text.lstrip()[:most]

    def pieces(self, text: str) -> list[tuple[int, int]]:
        """Where each token of a text begins and ends in it; evenly spread where the tokenizer does not say."""
        options = {"add_special_tokens": False, "truncation": False, "verbose": False}
        if self.tokenizer.is_fast:
            places = self.tokenizer(text, return_offsets_mapping=True, **options)["offset_mapping"]
            return [(start, end) for start, end in places if start < end]
        count = max(1, len(self.tokenizer(text, **options)["input_ids"]))
        return [(len(text) * n // count, len(text) * (n + 1) // count) for n in range(count)]

    def save(self, directory: Path) -> dict[str, Any]:
        self.tokenizer.save_pretrained(directory / "tokenizer")
        settings: dict[str, Any] = {"length": self.length, "fixed": self.fixed}
        further = {"padded": self.padded, "prompts": self.prompts}
        return settings | {name: value for name, value in further.items() if value}

    @staticmethod
    def load(directory: Path, settings: dict[str, Any]) -> Tokens:
        source = ModelSource(str(directory / "tokenizer"), local=True)
        further = {name: settings.get(name) for name in ("padded", "prompts")}
        return Tokens(read_tokenizer(source), settings["length"], fixed=settings["fixed"], **further)
