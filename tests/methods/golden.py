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


@dataclass(frozen=True)
class Case:
    """A file's method, the options its weights are read with, its units in the published order, some layers that
    a state dict must have, and what the names of layers that the published code never uses contain."""

    method: str
    options: dict[str, str]
    parts: tuple[str, ...]
    needed: tuple[str, ...]
    dead: tuple[str, ...]


_M3EL_DEAD = ("mclet_", "logit_scale", "scale_", "matcher.text_fc", "matcher.image_fc", "multi_head_module")
CASES = {
    "m3el_uni": Case(
        "m3el",
        {"variant": "cmm"},
        ("text", "image", "cross"),
        ("matcher.iimm.fc_query", "matcher.cmm.gate_fc"),
        _M3EL_DEAD,
    ),
    "m3el_bi": Case(
        "m3el",
        {"variant": "cmmb"},
        ("text", "image", "text_to_image", "image_to_text"),
        ("matcher.iimm.fc_query", "matcher.cmmb.gate_fc"),
        _M3EL_DEAD,
    ),
    "mimic": Case(
        "mimic",
        {},
        ("text", "image", "cross"),
        ("matcher.vdlu.dual_men2ent.gate_fc", "matcher.cmfu.gate_layer_norm"),
        ("context_layer_norm",),
    ),
    "otmel": Case(
        "ot_mel",
        {},
        ("text", "image", "fusion"),
        ("encoder.text_tokens_fc", "matcher.text_matcher.softpool.fc", "matcher.multimodal_matcher.fc_text"),
        (),
    ),
}


@dataclass(frozen=True)
class Golden:
    """One file: official weights, features of both sides, and the published scores and losses."""

    case: Case
    tensors: dict[str, Tensor]
    pairs: int

    @property
    def state(self) -> dict[str, Tensor]:
        return {name.removeprefix("state/"): t for name, t in self.tensors.items() if name.startswith("state/")}

    def matcher(self, state: dict[str, Tensor] | None = None) -> UnitMatcher:
        """The matcher of the file's weights, or of others under the same names."""
        given = self.state if state is None else state
        return from_official_state_dict(self.case.method, given, **self.case.options)

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


def read_golden(name: str) -> Golden:
    with safe_open(PARITY / f"{name}.safetensors", "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    return Golden(CASES[name], tensors, config["mentions"])
