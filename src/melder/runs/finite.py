"""Weights, features, sides and scores are numbers: NaN and infinity are told of where they first appear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from melder.features import Features, Scores, Side
from melder.ops.not_finite import not_finite
from melder.records import Item, MelderError

__all__ = ["check_features", "check_scores", "check_side", "check_weights"]

REMEDY = "its weights are damaged, or its training failed: train again, or name another run"


def check_weights(model: nn.Module, file: Path) -> None:
    """Refuse a model whose parameters are not all numbers.

    Args:
        model: As it was read.
        file: For messages.

    Raises:
        MelderError: With the first such tensor.
    """
    if name := not_finite(dict(model.named_parameters())):
        raise MelderError(f"{file}: tensor {name!r} holds NaN or infinity; train again, or name another run")


def check_features(features: Features, items: Sequence[Item]) -> None:
    """Refuse features that are not all numbers.

    Args:
        features: [n].
        items: [n], what was encoded.

    Raises:
        MelderError: With the first such item.
    """
    name = not_finite(features.tensors())
    if features.further is not None and (of_further := not_finite(vars(features.further))):
        raise MelderError(
            f"a picture behind the first: its feature {of_further!r} holds NaN or infinity; encode it again, leave it "
            "out, or name another encoder"
        )
    if name is None:
        return
    rows = features.tensors()[name].flatten(1).isfinite().all(dim=1)
    item = items[int(rows.int().argmin())]
    picture = item.image if isinstance(item.image, Path) else None
    raise MelderError(
        f"{picture or repr(item.text[:60])}: its feature {name!r} holds NaN or infinity; encode it again, leave it "
        "out, or name another encoder"
    )


def check_side(side: Side) -> Side:
    """Refuse a side that is not all numbers.

    Args:
        side: Of mentions or entities.

    Returns:
        The same.

    Raises:
        MelderError: With the first such tensor.
    """
    if name := not_finite(side):
        raise MelderError(f"the model gives NaN or infinity (tensor {name!r}); {REMEDY}")
    return side


def check_scores(scores: Scores) -> Scores:
    """Refuse scores of which a total is no number.

    Args:
        scores: Of mentions and entities.

    Returns:
        The same.

    Raises:
        MelderError: With the first such unit.
    """
    if not_finite({"total": scores.total}):
        name = not_finite(scores.parts) or "total"
        raise MelderError(f"the model scores with NaN or infinity (unit {name!r}); {REMEDY}")
    return scores
