"""Two systems on the same mentions: how much they differ, whether that could be chance, and who wins where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from melder.evaluation.predictions import Prediction
from melder.evaluation.stored import listed, ranks_of
from melder.metrics.metrics import FIGURES, per_mention
from melder.metrics.significance import holm, paired_difference
from melder.records import MelderError

__all__ = ["COMPARED", "Comparison", "compare"]

COMPARED = ("hits@1", "hits@5", "mrr")

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """Predictions of two systems A and B, those with an answer, in one order, and what came of them.

    Args:
        names: Of both.
        first: Of A.
        second: Of B.
        figures: For each of COMPARED `a`, `b`, `difference` (b − a), `difference_ci`, `p` and `p_holm`.
        only_a, only_b: Rows of the mentions whose gold entity ranks first with that system alone, those that the other
            one ranks worst first.
        both, neither: How many others there are of either kind.
    """

    names: tuple[str, str]
    first: list[Prediction]
    second: list[Prediction]
    figures: dict[str, dict[str, Any]]
    only_a: Rows
    only_b: Rows
    both: int
    neither: int

    def as_json(self) -> dict[str, Any]:
        """Figures, counts and the ids of the mentions that one system alone gets right."""
        return {
            "a": self.names[0],
            "b": self.names[1],
            "mentions": len(self.first),
            "figures": self.figures,
            "both_right": self.both,
            "neither_right": self.neither,
            "only_a_right": [self.first[row].id for row in self.only_a],
            "only_b_right": [self.first[row].id for row in self.only_b],
        }


def compare(first: Sequence[Prediction], second: Sequence[Prediction], names: tuple[str, str]) -> Comparison:
    """Compare predictions of the same mentions, in any order; NIL mentions are left out.

    Args:
        first: Of system A.
        second: Of system B.
        names: Of both, for messages: of the files, say.

    Returns:
        Figures with intervals and paired tests, and the mentions that one system alone gets right.

    Raises:
        MelderError: Mentions or gold entities differ, or none has an answer.
    """
    pairs = [pair for pair in _paired(first, second, names) if pair[0].gold is not None]
    if not pairs:
        raise MelderError(f"{names[0]}: no mention has an answer, so there is no rank to compare; give another split")
    one, other = (list(rows) for rows in zip(*pairs, strict=True))
    ranks = ranks_of(one).realistic, ranks_of(other).realistic
    hit_a, hit_b = ranks[0] <= 1, ranks[1] <= 1
    return Comparison(
        names=names,
        first=one,
        second=other,
        figures=_figures(one, other),
        only_a=_worst_first(hit_a & ~hit_b, ranks[1]),
        only_b=_worst_first(hit_b & ~hit_a, ranks[0]),
        both=int((hit_a & hit_b).sum()),
        neither=int((~hit_a & ~hit_b).sum()),
    )


def _worst_first(chosen: npt.NDArray[np.bool_], rank: npt.NDArray[np.float64]) -> Rows:
    rows = np.flatnonzero(chosen)
    return np.asarray(rows[np.argsort(-rank[rows], kind="stable")])


def _figures(first: list[Prediction], second: list[Prediction]) -> dict[str, dict[str, Any]]:
    values = [per_mention(ranks_of(rows))[:, [FIGURES.index(name) for name in COMPARED]] for rows in (first, second)]
    differences = [paired_difference(a, b) for a, b in zip(values[0].T, values[1].T, strict=True)]
    adjusted = holm([difference.p for difference in differences])
    return {
        name: {
            "a": float(values[0][:, column].mean()),
            "b": float(values[1][:, column].mean()),
            "difference": differences[column].mean,
            "difference_ci": list(differences[column].interval),
            "p": differences[column].p,
            "p_holm": float(adjusted[column]),
        }
        for column, name in enumerate(COMPARED)
    }


def _paired(
    first: Sequence[Prediction], second: Sequence[Prediction], names: tuple[str, str]
) -> list[tuple[Prediction, Prediction]]:
    ours, theirs = ({row.id: row for row in rows} for rows in (first, second))
    only = [i for i in ours if i not in theirs], [i for i in theirs if i not in ours]
    lacking = [f"only {name} has {listed(ids)}" for name, ids in zip(names, only, strict=True) if ids]
    if lacking:
        remedy = "write both with `melder evaluate --predictions` on one split"
        raise MelderError(f"{names[0]} and {names[1]} are not of the same mentions: {'; '.join(lacking)}; {remedy}")
    others = [row.id for row in first if theirs[row.id].gold != row.gold]
    if others:
        raise MelderError(
            f"{names[0]} and {names[1]}, field 'gold': differ for {listed(others)}; "
            "write both from the same version of the data set"
        )
    return [(row, theirs[row.id]) for row in first]
