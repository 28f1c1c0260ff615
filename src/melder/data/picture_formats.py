"""Names of the formats of pictures, as settings give them."""

from __future__ import annotations

from PIL import Image

from melder.data.pictures import FORMATS

__all__ = ["known_formats"]


def known_formats(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of formats as Pillow writes them.

    Args:
        names: In any case.

    Returns:
        The same in capitals.

    Raises:
        ValueError: There is none, or Pillow reads no such format here.
    """
    Image.init()
    formats = tuple(name.upper() for name in names)
    unknown = [name for name in formats if name not in Image.OPEN]
    if unknown or not formats:
        wrong = f"Pillow reads no {unknown[0]} here" if unknown else "no format is named"
        raise ValueError(f"{wrong}; name some of {', '.join(FORMATS)}")
    return formats
