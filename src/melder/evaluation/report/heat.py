"""How strong a match is beside others: levels of colour, and the strongest pairs.

An even share is what each word or patch of the mention would get if nothing were preferred, what falls on none of
them counted as one more. Only what is above it is coloured, so that a weight spread evenly shows as no match at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from melder.linking.evidence import AlignedUnit

__all__ = ["CLEAR", "LEVELS", "Pair", "even_share", "levels", "percent", "stands_out", "strongest"]

LEVELS = 9  # of colour above none; explanation.js and explanation.css have as many
CLEAR = 1.5  # times an even share: what is less is noise and not listed; explanation.js has the same

Pair = tuple[int, int, float]  # of the entity, of the mention, their weight


def even_share(aligned: AlignedUnit) -> float:
    """The weight that every word or patch of the mention would have if none matched better.

    Args:
        aligned: Of a unit.

    Returns:
        From 0 to 1; what nothing was matched with counts as one more.
    """
    return 1 / (len(aligned.received) + 1)


def levels(values: Sequence[float], even: float) -> list[int]:
    """A level from 0 to `LEVELS` for each value: 0 up to an even share, `LEVELS` for the largest value, or for twice
    an even share where no value reaches that.

    Args:
        values: Shares of one side.
        even: An even share.

    Returns:
        In their order.
    """
    above = [max(0.0, value / even - 1) for value in values]
    most = max([1.0, *above])
    return [round(LEVELS * excess / most) for excess in above]


def stands_out(weight: float, even: float) -> bool:
    """Whether a share is well above an even one.

    Args:
        weight: From 0 to 1.
        even: An even share.

    Returns:
        Whether it is `CLEAR` times as much.
    """
    return weight >= CLEAR * even


def strongest(aligned: AlignedUnit, *, distinct: bool = False) -> list[Pair]:
    """What each word or patch of the entity matched best, the strongest first.

    Args:
        aligned: Of a unit.
        distinct: Take each word or patch of the mention once only.

    Returns:
        The row of the entity's, that of the mention's, and the weight.
    """
    pairs = [(row, max(range(len(weights)), key=weights.__getitem__)) for row, weights in enumerate(aligned.weights)]
    ordered = sorted(((row, best, aligned.weights[row][best]) for row, best in pairs), key=lambda pair: -pair[2])
    if not distinct:
        return ordered
    by_target: dict[int, Pair] = {}
    for pair in ordered:
        by_target.setdefault(pair[1], pair)
    return list(by_target.values())


def percent(share: float) -> str:
    """26 % or 4.9 %

    Args:
        share: From 0 to 1.

    Returns:
        In words.
    """
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f}\u00a0%"
