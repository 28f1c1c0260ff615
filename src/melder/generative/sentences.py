"""Vectors of short texts, by any text model: what demonstrations are chosen by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoModel

from melder.encoders.paired import read_text
from melder.encoders.pretrained import read_model, read_tokenizer
from melder.encoders.sources import find_source
from melder.encoders.tokens import Tokens
from melder.encoders.towers import Options, TextTower
from melder.protocols import Inputs

__all__ = ["embed_texts", "open_retriever"]

LENGTH = 64  # tokens of a text; surfaces have a few
BATCH = 256


class Pooled(nn.Module):
    """A text model whose vector is its pooler's output, tanh of a layer over the first token: published SimCSE."""

    def __init__(self, model: Any, tokens: Tokens) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens

    def prepare(self, texts: Sequence[str]) -> Inputs:
        return self.tokens(texts)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        out = self.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"].long())
        return normalize(out.pooler_output, dim=-1), out.last_hidden_state


def open_retriever(spec: str, pooling: Literal["auto", "pooler"]) -> TextTower:
    """A text model for finding demonstrations, frozen.

    Args:
        spec: A directory, `python:PACKAGE`, or a name on the hub.
        pooling: auto = as the model says that it was trained to; pooler = by the vector of its pooler, as published.

    Returns:
        In evaluation mode.

    Raises:
        MelderError: There is no such model, or it cannot be read.
    """
    source = find_source(spec)
    if pooling == "auto":
        tower: Any = read_text(source, Options(LENGTH))
    else:
        model, _ = read_model(AutoModel, source)
        tower = Pooled(model, Tokens(read_tokenizer(source), LENGTH, fixed=False))
    return tower.requires_grad_(False).eval()  # type: ignore[no-any-return]


def embed_texts(tower: TextTower, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Tensor:
    """Vectors of texts.

    Args:
        tower: On any device.
        texts: n of them; each different one is embedded once.
        progress: Told how many different texts were embedded.

    Returns:
        [n, width], L2-normalised, on the CPU; zeros of empty texts.
    """
    different = sorted(set(texts), key=len)
    device = next(tower.parameters()).device  # type: ignore[attr-defined]
    parts = []
    for start in range(0, len(different), BATCH):
        chunk = different[start : start + BATCH]
        inputs = {name: tensor.to(device) for name, tensor in tower.prepare(chunk).items()}
        with torch.inference_mode():
            there = torch.tensor([bool(text.strip()) for text in chunk], device=device)
            parts.append((normalize(tower(inputs)[0].float(), dim=-1) * there[:, None]).cpu())
        if progress is not None:
            progress(len(chunk))
    row = {text: number for number, text in enumerate(different)}
    return torch.cat(parts)[[row[text] for text in texts]]
