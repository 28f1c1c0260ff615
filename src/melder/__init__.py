"""Melder links mentions in text and pictures to the entities of a knowledge base.

linker = melder.load("flags-run", data="flags")
linker("Guinea won the toss", mention="Guinea", image="stadium.jpg")
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from melder.records import BadData, BadRecord, Candidate, Entity, Link, MelderError, Mention, Ranks

if TYPE_CHECKING:
    from melder.linking.hub import PretrainedLinker as Linker
    from melder.linking.load import load

__version__ = version("melder")
__all__ = [
    "BadData",
    "BadRecord",
    "Candidate",
    "Entity",
    "Link",
    "Linker",
    "MelderError",
    "Mention",
    "Ranks",
    "load",
]

# They bring PyTorch along, which takes seconds: each is imported when it is first asked for.
_LATER = {
    "load": ("melder.linking.load", "load"),
    "Linker": ("melder.linking.hub", "PretrainedLinker"),
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module, attribute = _LATER[name]
        return getattr(import_module(module), attribute)
    if name == "client":
        return import_module("melder.client")
    raise AttributeError(f"module 'melder' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "client"])
