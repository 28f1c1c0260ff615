"""How often a mention's entity was the answer in training: where a method lives on what it has seen often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["popularity"]

# The first three bounds part the rare from the known (a re-run of GEMEL reported at most 3, and more); the others are
# for small sets, in which every entity is answered often.
BOUNDS = (1, 4, 11, 31)


def popularity(answers: Sequence[str], counts: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Boolean arrays [mentions] by the name of the group; `counts` are training mentions by entity.

    Entities that were never the answer are in no group here: `not seen in training` has them.

    Args:
        answers: Ids, [mentions].
        counts: Of training mentions, by entity.

    Returns:
        A mask [mentions] of each group.
    """
    times = np.array([counts.get(answer, 0) for answer in answers], dtype=int)
    ends = [*BOUNDS[1:], np.inf]
    return {_name(low, high): (times >= low) & (times < high) for low, high in zip(BOUNDS, ends, strict=True)}


def _name(low: int, high: float) -> str:
    times = f"{low} to {int(high) - 1} times" if np.isfinite(high) else f"{low} times or more"
    return f"answer in training {times}"
