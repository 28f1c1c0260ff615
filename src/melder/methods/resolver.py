"""Methods by name, and what reads the official weights of those that have some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from torch import Tensor

from melder.features import Sizes
from melder.methods.official import OfficialWeights
from melder.protocols import Matcher, Method
from melder.records import MelderError
from melder.registry import Entry, Registry

__all__ = [
    "METHODS",
    "OFFICIAL_WEIGHTS",
    "build_matcher",
    "from_official_state_dict",
    "method_of",
    "official_weights",
]

METHODS = Registry[Method](
    "method",
    "melder.methods",
    (
        Entry("clip", "melder.methods.clip:METHOD", "plain CLIP: cosines of texts and of pictures"),
        Entry("m3el", "melder.methods.m3el:METHOD", "multi-level matching within and between modalities"),
        Entry("mimic", "melder.methods.mimic:METHOD", "three units of global and local interaction"),
        Entry("ot_mel", "melder.methods.ot_mel:METHOD", "optimal transport between tokens and patches"),
        Entry("pgmel", "melder.methods.pgmel:METHOD", "fused vectors, negatives that a generator picks"),
        Entry("gemel", "melder.methods.gemel:METHOD", "a language model writes the entity's name"),
    ),
)
OFFICIAL_WEIGHTS = Registry[OfficialWeights](
    "reader of official weights",
    "melder.official_weights",
    (
        Entry("m3el", "melder.methods.m3el_official:OFFICIAL", "of M3EL's repository"),
        Entry("mimic", "melder.methods.mimic_official:OFFICIAL", "of MIMIC's repository"),
        Entry("ot_mel", "melder.methods.ot_mel_official:OFFICIAL", "of OT-MEL's repository"),
    ),
)


def method_of(configuration: BaseModel) -> Method:
    """The method that a method's configuration is of.

    Args:
        configuration: With the method's `name`.

    Returns:
        The method that is registered under this name.

    Raises:
        MelderError: There is none.
    """
    return METHODS.get(str(configuration.name))  # type: ignore[attr-defined]


def build_matcher(configuration: BaseModel, sizes: Sizes) -> Matcher:
    """The matcher that a method's configuration describes, for an encoder of these sizes.

    Args:
        configuration: Of a method, whose `name` says which.
        sizes: Of the encoder's features.

    Returns:
        The matcher, as it is before training.

    Raises:
        MelderError: There is no such method, or it cannot be built for this encoder.
    """
    return method_of(configuration).build(configuration, sizes)


def from_official_state_dict(name: str, state: Mapping[str, Tensor], **options: Any) -> Matcher:
    """A matcher in published mode with official weights; M3EL takes `variant="cmm" | "cmmb"`.

    Args:
        name: Of the method: m3el, mimic or ot_mel.
        state: What `torch.load(…, weights_only=True)` reads of an official checkpoint.
        options: Of the method's reader.

    Returns:
        The matcher, in evaluation mode.

    Raises:
        MelderError: The method has no official weights, or these are not of it.
    """
    return official_weights(name).matcher(state, **options)


def official_weights(name: str) -> OfficialWeights:
    """What reads the official weights of this method.

    Args:
        name: Of the method.

    Returns:
        What makes a configuration, and a matcher, of a state dict.

    Raises:
        MelderError: There are none.
    """
    METHODS.get(name)
    if name not in OFFICIAL_WEIGHTS:
        names = ", ".join(sorted(OFFICIAL_WEIGHTS.names()))
        raise MelderError(f"{name!r} has no official weights; methods that do: {names}")
    return OFFICIAL_WEIGHTS.get(name)
