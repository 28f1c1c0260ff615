"""How a matcher's total is made of its units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from melder.ops.picture_scores import Pooling

__all__ = ["PLAIN_MEAN", "TotalOptions"]


@dataclass(frozen=True)
class TotalOptions:
    """Which units count, how much, and with how many pictures.

    Args:
        training_units, evaluation_units: The units in use in either mode; none = all (only the published M3EL trains
            one cross-modal unit and evaluates with another).
        pictures: How many pictures of a mention or an entity are compared, where they have as many.
        picture_pooling: How the scores of all pairs of pictures become one (`melder.methods.several_pictures`).
        weighted: Units have weights, 1 until `set_unit_weights`. They count outside of training only: in it every unit
            learns on its own, and a weight that it could have for others would be that of what it knows by heart.
        gated: These weights are of a mean mention, and those of others depend on what is known of them (`Gate`).
    """

    training_units: Sequence[str] = ()
    evaluation_units: Sequence[str] = ()
    pictures: int = 1
    picture_pooling: Pooling = "log_mean_exp"
    weighted: bool = False
    gated: bool = False


PLAIN_MEAN = TotalOptions()
