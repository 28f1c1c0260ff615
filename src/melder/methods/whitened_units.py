"""The units that `method.whiten` adds to a method: what the frozen encoder itself says of two pictures."""

from __future__ import annotations

from typing import cast

from torch import nn

from melder.features import Features, Sizes
from melder.methods.options import TokenMethodOptions
from melder.protocols import FitFeatures, Matcher
from melder.units.whitened import Whitened

__all__ = ["fitting_whitened", "whitened_units"]

IMAGE, PATCHES = "whitened_image", "whitened_patches"


def whitened_units(options: TokenMethodOptions, sizes: Sizes) -> dict[str, nn.Module]:
    """The units by name, as the options ask for them; none without vision.

    Args:
        options: Of the method.
        sizes: Of the encoder's features.

    Returns:
        At most two, of the pictures' global vectors and of their patches.
    """
    if not options.whiten or sizes.image_global is None:
        return {}
    return {IMAGE: Whitened("global", sizes.image_global), PATCHES: Whitened("patches")}


def fitting_whitened(options: TokenMethodOptions) -> FitFeatures | None:
    """What fits them before training starts; None where there are none.

    Args:
        options: Of the method.

    Returns:
        A function of matcher, entities' and mentions' features.
    """
    return _fit if options.whiten else None


def _fit(matcher: Matcher, entities: Features, mentions: Features | None = None) -> None:
    for name, unit in matcher.units_in_use():
        if name in (IMAGE, PATCHES):
            cast(Whitened, unit).fit(entities, mentions)
