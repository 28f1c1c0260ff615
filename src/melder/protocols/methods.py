"""A published way to link."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel

from melder.features import Sizes

__all__ = ["Method"]


class Method(Protocol):
    """A published way to link: its settings, its matcher, and what it can do.

    Attributes:
        compares: It scores entities by features of them, so that these can be stored, searched and calibrated; a method
            that does not registers its own storage, training and linker (docs/extending.md).
        trains_encoder, samples_negatives, trains_in_processes: What its training can be asked for.
    """

    @property
    def configuration(self) -> type[BaseModel]: ...

    @property
    def compares(self) -> bool: ...

    @property
    def trains_encoder(self) -> bool: ...

    @property
    def samples_negatives(self) -> bool: ...

    @property
    def trains_in_processes(self) -> bool: ...

    def build(self, configuration: BaseModel, sizes: Sizes) -> Any:
        """The matcher that a configuration describes, for an encoder of these sizes.

        Raises:
            MelderError: The method does not compare.
        """
        ...
