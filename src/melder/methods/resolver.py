"""Methods by name: their configuration, what builds them, and how official weights become theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from melder.features import Sizes
from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.m3el_official import m3el_from_official
from melder.methods.matcher import UnitMatcher
from melder.records import MelderError

__all__ = ["METHODS", "Method", "build_matcher", "from_official_state_dict", "method"]


@dataclass(frozen=True)
class Method:
    """What Melder knows of a method under its name."""

    configuration: type[BaseModel]
    build: Callable[[Any, Sizes], UnitMatcher]
    from_official: Callable[..., UnitMatcher]


METHODS: dict[str, Method] = {"m3el": Method(M3ELConfiguration, build_m3el, m3el_from_official)}


def method(name: str) -> Method:
    """The method of this name; an unknown one is an error that lists them."""
    if name not in METHODS:
        raise MelderError(f"there is no method {name!r}; Melder has {', '.join(sorted(METHODS))}")
    return METHODS[name]


def build_matcher(configuration: BaseModel, sizes: Sizes) -> UnitMatcher:
    """The matcher that a method's configuration describes, for an encoder of these sizes."""
    return method(str(configuration.name)).build(configuration, sizes)  # type: ignore[attr-defined]


def from_official_state_dict(name: str, state: Mapping[str, Tensor], **options: Any) -> UnitMatcher:
    """A matcher in published mode with official weights; M3EL takes `variant="cmm" | "cmmb"`."""
    return method(name).from_official(state, **options)
