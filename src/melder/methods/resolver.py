"""Methods by name: their configuration, what builds them, and how official weights become theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from torch import Tensor

from melder.features import Sizes
from melder.methods.clip import CLIPConfiguration, build_clip
from melder.methods.gemel import GEMELConfiguration
from melder.methods.m3el import M3ELConfiguration, build_m3el
from melder.methods.m3el_official import m3el_from_official, m3el_official_configuration
from melder.methods.matcher import UnitMatcher
from melder.methods.mimic import MIMICConfiguration, build_mimic
from melder.methods.mimic_official import mimic_from_official, mimic_official_configuration
from melder.methods.ot_mel import OTMELConfiguration, build_ot_mel
from melder.methods.ot_mel_official import ot_mel_from_official, ot_mel_official_configuration
from melder.methods.pgmel import PGMELConfiguration, build_pgmel
from melder.records import MelderError

__all__ = ["METHODS", "Method", "build_matcher", "from_official_state_dict", "method", "official_configuration"]

Result = TypeVar("Result")


@dataclass(frozen=True)
class Method:
    """What Melder knows of a method under its name.

    build: the matcher; None for a generative method, which has none

    from_official, official_configuration: the matcher, and its configuration, that an official state dict describes;
        None for a method without published weights of its own
    """

    configuration: type[BaseModel]
    build: Callable[[Any, Sizes], UnitMatcher] | None
    from_official: Callable[..., UnitMatcher] | None = None
    official_configuration: Callable[..., BaseModel] | None = None


# Methods that compare features; those that write names are in GENERATIVE.
METHODS: dict[str, Method] = {
    "clip": Method(CLIPConfiguration, build_clip),
    "m3el": Method(M3ELConfiguration, build_m3el, m3el_from_official, m3el_official_configuration),
    "mimic": Method(MIMICConfiguration, build_mimic, mimic_from_official, mimic_official_configuration),
    "ot_mel": Method(OTMELConfiguration, build_ot_mel, ot_mel_from_official, ot_mel_official_configuration),
    "pgmel": Method(PGMELConfiguration, build_pgmel),
}

GENERATIVE: dict[str, Method] = {"gemel": Method(GEMELConfiguration, None)}


def method(name: str) -> Method:
    """The method of this name; an unknown one is an error that lists them."""
    every = METHODS | GENERATIVE
    if name not in every:
        raise MelderError(f"there is no method {name!r}; Melder has {', '.join(sorted(every))}")
    return every[name]


def build_matcher(configuration: BaseModel, sizes: Sizes) -> UnitMatcher:
    """The matcher that a method's configuration describes, for an encoder of these sizes."""
    name = str(configuration.name)  # type: ignore[attr-defined]
    build = method(name).build
    if build is None:
        raise MelderError(f"{name!r} writes names and has no matcher; this needs a method that compares features")
    return build(configuration, sizes)


def from_official_state_dict(name: str, state: Mapping[str, Tensor], **options: Any) -> UnitMatcher:
    """A matcher in published mode with official weights; M3EL takes `variant="cmm" | "cmmb"`."""
    return _official(name, method(name).from_official)(state, **options)


def official_configuration(name: str, state: Mapping[str, Tensor], **options: Any) -> BaseModel:
    """The configuration of the matcher that `from_official_state_dict` gives."""
    return _official(name, method(name).official_configuration)(state, **options)


def _official(name: str, read: Callable[..., Result] | None) -> Callable[..., Result]:
    if read is None:
        known = sorted(name for name, each in METHODS.items() if each.official_configuration is not None)
        raise MelderError(f"{name!r} has no official weights; methods that do: {', '.join(known)}")
    return read
