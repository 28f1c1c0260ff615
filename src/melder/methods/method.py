"""What a method is made of, and what it can do; each method's file describes its own as `METHOD`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from melder.features import Sizes
from melder.protocols import FitFeatures, Matcher
from melder.records import MelderError

__all__ = ["GenerativeMethod", "MatchingMethod"]


@dataclass(frozen=True)
class MatchingMethod:
    """A method that compares features of mentions with those of entities; fulfils `melder.protocols.Method`.

    Args:
        matcher: What a configuration describes, for an encoder of these sizes.
        fitting: What a configuration has a matcher learn of features alone, before it is trained; None = nothing.
    """

    configuration: type[BaseModel]
    matcher: Callable[[Any, Sizes], Matcher]
    compares: bool = True
    trains_encoder: bool = True
    samples_negatives: bool = True
    trains_in_processes: bool = True
    summary: str | None = None  # one line for `melder list`, of another package's method
    fitting: Callable[[Any], FitFeatures | None] = lambda configuration: None

    def build(self, configuration: BaseModel, sizes: Sizes) -> Matcher:
        return self.matcher(configuration, sizes)


@dataclass(frozen=True)
class GenerativeMethod:
    """A method that writes names of entities; fulfils `melder.protocols.Method`.

    Args:
        configuration: The class of its settings.
        compares: Whether it scores entities by features; it writes their names instead.
        trains_encoder: Whether the encoder can be trained with it.
        samples_negatives: Whether negatives are drawn.
        trains_in_processes: Whether several processes may train it together.
        summary: The line of `melder list methods`; None = the first of the configuration's docstring.
    """

    configuration: type[BaseModel]
    compares: bool = False
    trains_encoder: bool = False
    samples_negatives: bool = False
    trains_in_processes: bool = False
    summary: str | None = None

    def fitting(self, configuration: BaseModel) -> None:
        """Nothing is learned of features alone."""

    def build(self, configuration: BaseModel, sizes: Sizes) -> Matcher:
        name = str(configuration.name)  # type: ignore[attr-defined]
        raise MelderError(f"{name!r} writes names and has no matcher; this needs a method that compares features")
