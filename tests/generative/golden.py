"""The golden tensors of GEMEL: a tiny OPT, its mapper, prompts, and what the published code makes of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from melder.generative import (
    Blocks,
    GenerativeModel,
    LanguageModel,
    Template,
    from_official_mapper,
    open_language_model,
)
from melder.generative.prompt import Block
from melder.methods.gemel import PUBLISHED_TEMPLATE

DIRECTORY = Path(__file__).parents[1] / "data" / "parity" / "gemel"


@cache
def tensors() -> dict[str, Tensor]:
    return dict(load_file(DIRECTORY / "gemel.safetensors"))


@cache
def records() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DIRECTORY / "gemel.json").read_text(encoding="utf-8"))
    return content


@cache
def language_model() -> LanguageModel:
    return open_language_model(str(DIRECTORY / "tiny_opt"))


@cache
def model() -> GenerativeModel:
    state = {name: tensors()[f"mapper/{name}"] for name in ("weight", "bias")}
    return from_official_mapper(state, language_model(), records()["prefix_tokens"])


def prompts() -> list[Blocks]:
    """Both demonstrations before each query."""
    shown = [_block(number, demonstrates=True) for number in records()["demonstrations"]]
    return [Blocks([*shown, _block(number, demonstrates=False)]) for number in records()["queries"]]


def targets() -> list[list[int]]:
    names = [records()["examples"][number]["target"] for number in records()["queries"]]
    return language_model().name_tokens(names)


def _block(number: int, *, demonstrates: bool) -> Block:
    example, template = records()["examples"][number], Template(PUBLISHED_TEMPLATE)
    if demonstrates:
        text = template.demonstration(example["text"], example["mention"], example["target"])
    else:
        text = template.question(example["text"], example["mention"])
    return Block(language_model().tokens([text])[0], tensors()["images"][example["image"]])
