"""What a second stage is: it reads mentions with the candidates that a first stage found, and scores these anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from melder.languages import Languages
from melder.linking.linker import BaseLinker
from melder.records import Entity, Item, Mention

__all__ = ["Opinion", "SecondStage"]


@dataclass(frozen=True)
class Opinion:
    """What a second stage says of a mention's candidates.

    Args:
        scores: [candidates] log-probabilities, each up to the same constant; minus infinity where it cannot say.
        nil: Log-odds that none of them is right; None where that is not asked.
    """

    scores: npt.NDArray[np.float64]
    nil: float | None = None


class SecondStage(Protocol):
    """Scores candidates; `melder.linking.rerank` fuses its scores with those of the first stage.

    Attributes:
        name: What its part of a score is called in a candidate's `units`.
        reader: The linker that says what is read of a mention, where that is not the first stage.
        at_once: Mentions that go through it together.
    """

    @property
    def name(self) -> str: ...

    @property
    def reader(self) -> BaseLinker | None: ...

    @property
    def at_once(self) -> int: ...

    def opinions(
        self, mentions: Sequence[Mention], items: Sequence[Item], candidates: Sequence[Sequence[Entity]]
    ) -> list[Opinion]:
        """Of each mention what it says of its candidates; `items` are what `reader` reads of the mentions."""
        ...

    def name_in(self, languages: Languages) -> None:
        """Read candidates by their names and descriptions in the first of some languages that has them."""
        ...

    def close(self) -> None:
        """Give up what it has open."""
        ...
