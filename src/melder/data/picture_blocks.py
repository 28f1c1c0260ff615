"""What makes a small file of a picture costly to read: blocks, comments and junk without number, passes, resources."""

from __future__ import annotations

import io

from PIL import Image

__all__ = ["FewReads", "PictureRefusal", "check_passes", "check_resources"]

START_OF_SCAN = b"\xff\xda"  # ITU T.81, B.2.3; data of a JPEG has no 0xFF that is no marker
PASSES = 100  # encoders make about ten, and a preview in EXIF has as many
RESOURCE = b"8BIM"  # of Photoshop, in a JPEG; an editor writes some tens
RESOURCES = 10_000
READS = 10_000  # of a file, and one more for so many of its bytes: encoders write blocks of kilobytes
BYTES_A_READ = 100


class PictureRefusal(Exception):
    """A reason, in words, not to decode a picture."""


class FewReads(io.BytesIO):
    """A file read in few pieces: Pillow steps over blocks, comments and junk one by one, however small they are.

    Args:
        data: The file's bytes.

    Raises:
        PictureRefusal: It is read in more pieces than a file of its size needs.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = READS + len(data) // BYTES_A_READ

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise PictureRefusal("made of too many small blocks; save it again")
        return super().read(size)


def check_resources(data: bytes) -> None:
    """Refuse a file of very many resources: each of a JPEG is looked at when it is opened.

    Args:
        data: The file's bytes.

    Raises:
        PictureRefusal: It has more than `RESOURCES`.
    """
    if data.count(RESOURCE) > RESOURCES:
        raise PictureRefusal(f"has more than {RESOURCES:,} resources of Photoshop; save it again")


def check_passes(picture: Image.Image, data: bytes) -> None:
    """Refuse a progressive JPEG that is drawn over and over: a pass is a few bytes and costs as much as all its pixels.

    Args:
        picture: As it was opened, not decoded yet.
        data: The file's bytes.

    Raises:
        PictureRefusal: It has more than `PASSES`.
    """
    if picture.format in ("JPEG", "MPO") and data.count(START_OF_SCAN) > PASSES:
        raise PictureRefusal(f"drawn in more than {PASSES} passes; save it again")
