"""What the published modules computed, from `tests/data/parity`; the files' keys are the official ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from melder.features import Features
from melder.methods import from_official_state_dict
from melder.methods.losses import Batch
from melder.methods.matcher import UnitMatcher

PARITY = Path(__file__).parents[1] / "data" / "parity"
FILES = {"cmm": "m3el_uni", "cmmb": "m3el_bi"}  # by variant


@dataclass(frozen=True)
class Golden:
    """One file: official weights, features of both sides, and the published scores and losses."""

    variant: str
    tensors: dict[str, Tensor]
    pairs: int

    @property
    def state(self) -> dict[str, Tensor]:
        return {name.removeprefix("state/"): t for name, t in self.tensors.items() if name.startswith("state/")}

    def matcher(self) -> UnitMatcher:
        return from_official_state_dict("m3el", self.state, variant=self.variant)

    def features(self, side: str) -> Features:
        """side: mention or entity"""
        names = ("text_cls", "text_tokens", "image_cls", "image_tokens")
        return Features(*(self.tensors[f"clip/{side}/{name}"] for name in names))

    def batch(self, matcher: UnitMatcher) -> Batch:
        """The batch of which the file gives the losses: the first entities are the gold ones."""
        gold = self.features("entity")[: self.pairs]
        ignore = torch.zeros(self.pairs, self.pairs, dtype=torch.bool)
        mentions = matcher.heads(self.features("mention"))
        return Batch(mentions, matcher.heads(gold), torch.arange(self.pairs), ignore)


def read_golden(variant: str) -> Golden:
    with safe_open(PARITY / f"{FILES[variant]}.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return Golden(variant, tensors, config["mentions"])
