"""How a camera was held: pictures are turned as their EXIF says."""

from __future__ import annotations

from PIL import Image
from PIL.Image import Transpose

__all__ = ["orientation_of", "upright"]

_TAG = 0x0112  # EXIF 2.3, table 4: how to turn the stored picture so that its first row is on top
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def orientation_of(picture: Image.Image) -> int:
    """What the EXIF of a picture says of its orientation.

    Args:
        picture: As it was opened.

    Returns:
        1 to 8; 1 (as it is) where nothing is said, or nothing that can be read.
    """
    try:
        return int(picture.getexif().get(_TAG, 1))
    except Exception:  # broken EXIF, in any of many ways, does not spoil the pixels
        return 1


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """A picture turned so that its first row is on top.

    Args:
        picture: As it is stored.
        orientation: Of `orientation_of`.

    Returns:
        The picture itself where it need not be turned.
    """
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)
