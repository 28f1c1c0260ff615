"""What is kept of a picture to find it again: digests of its bytes and pixels, and a hash that survives re-encoding.

The perceptual hash is a difference hash (dHash, N. Krawetz 2013, "Kind of Like That") of 16 × 16 bits: the picture is
shrunk to 17 × 16 cells, and a bit says whether a cell is darker than its right neighbour. Here a cell must be darker
by more than `MARGIN`, so that the noise of JPEG in plain areas sets no bits, and the bits are laid out so that every
word of 16 draws on all rows and columns: equal words then mean alike pictures, not alike skies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from melder.data.pictures import read_picture

__all__ = ["CELLS", "WORDS", "Fingerprint", "fingerprint"]

WORDS = 16  # of 16 bits each
CELLS = (17, 16)  # columns and rows of the shrunken picture
MARGIN = 2  # grey levels of 255

_ROWS = np.arange(16)
_COLUMNS = (5 * _ROWS[None, :] + _ROWS[:, None]) % 16  # [word, bit]: 5 and 16 are coprime, so each word has each column


@dataclass(frozen=True)
class Fingerprint:
    """What a picture is compared by.

    Args:
        content: The digest of the file's bytes (blake2b, 16 bytes).
        pixels: That of its pixels and size.
        hash: [16], uint16, of where it becomes lighter.
        small: [16, 17, 3], uint8, the picture made small.
    """

    content: bytes
    pixels: bytes
    hash: NDArray[np.uint16]
    small: NDArray[np.uint8]


def fingerprint(path: Path) -> Fingerprint:
    """What a picture is compared by.

    Args:
        path: Of its file.

    Returns:
        Digests and a hash.

    Raises:
        UnreadablePicture: As `read_picture` does.
    """
    picture = read_picture(path)
    small = np.asarray(picture.resize(CELLS, Image.Resampling.BOX), dtype=np.uint8)
    size = f"{picture.width} {picture.height} ".encode()
    return Fingerprint(_digest(path.read_bytes()), _digest(size + picture.tobytes()), _difference_hash(small), small)


def _difference_hash(small: NDArray[np.uint8]) -> NDArray[np.uint16]:
    grey = small.astype(np.int16).mean(axis=2)
    bits = np.diff(grey, axis=1) > MARGIN
    packed: NDArray[np.uint16] = np.packbits(bits[_ROWS, _COLUMNS], axis=1).view(np.uint16)[:, 0]
    return packed


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
