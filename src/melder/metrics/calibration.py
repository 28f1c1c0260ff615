"""Whether probabilities mean what they say: AUROC, Brier score, expected calibration error, the bins of a diagram.

For probabilities p_i of events y_i (0 or 1) with weights w_i that sum to 1:

* `brier = sum w_i (p_i - y_i)^2`
* `ece = sum over the bins of (weight of the bin) * |mean of y - mean of p| there`

Bins are ten, equally wide (Guo et al. 2017, "On calibration of modern neural networks", section 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "calibration", "decided"]

BINS = 10
Z = 1.959964  # of the 95 % interval of a share


def calibration(
    happened: npt.NDArray[np.bool_], probability: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Figures of n probabilities, all arrays [n]: `auroc`, `brier`, `ece`, and `bins` without the empty ones.

    A bin has `low`, `high`, `count`, `predicted` (the mean probability), `observed` (the share that happened) and the
    95 % interval `observed_ci` (Wilson's). `auroc` is null where everything happened, or nothing.

    Args:
        happened: [n], whether it was so.
        probability: [n], that it would be.
        weight: [n], how much each counts.

    Returns:
        Figures by name, ready for JSON.
    """
    from sklearn.metrics import roc_auc_score  # slow to import, and not needed to link

    share = weight / weight.sum()
    both = happened.any() and not happened.all()
    bins = _bins(happened.astype(np.float64), probability, share)
    return {
        "auroc": float(roc_auc_score(happened, probability, sample_weight=weight)) if both else None,
        "brier": float(share @ (probability - happened) ** 2),
        "ece": float(sum(bin_["share"] * abs(bin_["observed"] - bin_["predicted"]) for bin_ in bins)),
        "bins": bins,
    }


def decided(
    happened: npt.NDArray[np.bool_],
    probability: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
    threshold: float,
) -> dict[str, float | None]:
    """Precision and recall of saying that it happened where the probability is at least `threshold`; null for 0 / 0.

    Args:
        happened: [n], whether it was so.
        probability: [n], that it would be.
        weight: [n], how much each counts.
        threshold: From it on the answer is yes.

    Returns:
        `precision` and `recall`.
    """
    said = probability >= threshold
    hits, all_said, all_true = (float(weight[rows].sum()) for rows in (said & happened, said, happened))
    return {
        "threshold": threshold,
        "precision": hits / all_said if all_said else None,
        "recall": hits / all_true if all_true else None,
    }


def _bins(
    happened: npt.NDArray[np.float64], probability: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> list[dict[str, Any]]:
    number = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = []
    for bin_ in np.unique(number).tolist():
        rows = number == bin_
        within = share[rows] / share[rows].sum()
        observed, count = float(within @ happened[rows]), float(1 / (within @ within))  # Kish's effective count
        bins.append(
            {
                "low": bin_ / BINS,
                "high": (bin_ + 1) / BINS,
                "count": int(rows.sum()),
                "share": float(share[rows].sum()),
                "predicted": float(within @ probability[rows]),
                "observed": observed,
                "observed_ci": _wilson(observed, count),
            }
        )
    return bins


def _wilson(share: float, count: float) -> list[float]:
    """The 95 % interval of a share of `count` trials (Wilson 1927), which stays between 0 and 1."""
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return [max(0.0, float(middle - half)), min(1.0, float(middle + half))]
