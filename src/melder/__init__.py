"""Melder links mentions in text and pictures to the entities of a knowledge base.

linker = melder.load("flags-run", data="flags")
linker.link("Guinea won the toss", mention="Guinea", image="stadium.jpg")
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from melder.records import BadData, BadRecord, Candidate, Entity, Link, MelderError, Mention, Ranks

if TYPE_CHECKING:
    from melder.linking.load import load

__version__ = version("melder")
__all__ = ["BadData", "BadRecord", "Candidate", "Entity", "Link", "MelderError", "Mention", "Ranks", "load"]


def __getattr__(name: str) -> Any:
    """`load` brings PyTorch along, which takes seconds: it is imported when it is first asked for."""
    if name == "load":
        from melder.linking.load import load

        return load
    raise AttributeError(f"module 'melder' has no attribute {name!r}")
