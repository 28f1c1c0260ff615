"""Pictures as people hold them: a path, bytes, an open file, a Pillow image, an array, a data URI."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from melder.records import MelderError

__all__ = ["picture_of", "pictures_of"]

FORMS = "a path, bytes, an open file, a Pillow image, an array [height, width(, channels)] or a data: address"


def pictures_of(image: Any) -> tuple[Path | bytes, ...]:
    """The pictures that are meant by one, in any of the forms of `picture_of`, or by a list or tuple of such.

    Args:
        image: In any of the forms of `picture_of`, or a list or tuple of such.

    Returns:
        In their order.

    Raises:
        MelderError: One of them is none, or there is no such file.
    """
    several = image if isinstance(image, (list, tuple)) else [image]
    return tuple(picture for each in several if (picture := picture_of(each)) is not None)


def picture_of(image: Any) -> Path | bytes | None:
    """What an encoder reads of a picture: a file that is there, or the bytes of one.

    Pixels, of Pillow or of an array, become those of a PNG, which loses nothing. Numbers with a fraction are from 0
    to 1, whole ones have the range of their type.

    Args:
        image: A path, bytes, an open file, a Pillow image, an array [height, width] or [height, width, 1, 3 or 4], or
            a `data:` address; None = no picture.

    Returns:
        None where none was given.

    Raises:
        MelderError: It is none of these, or there is no such file.
    """
    if image is None or isinstance(image, bytes):
        return image
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, str) and image.startswith("data:"):
        return _of_data_address(image)
    if isinstance(image, str) and image.startswith(("http://", "https://")):
        raise MelderError(f"{image}: pictures are not fetched; load it yourself and give its bytes")
    if isinstance(image, (str, Path)):
        return _existing(Path(image))
    if isinstance(image, Image.Image):
        return _png(image)
    if hasattr(image, "read"):
        return _of_open_file(image)
    if hasattr(image, "__array__"):
        return _png(_of_array(np.asarray(image)))
    raise MelderError(f"a picture cannot be of the type {type(image).__name__}: give {FORMS}")


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MelderError(f"{path}: there is no such file; name a picture, or leave it out")
    return path


def _of_data_address(address: str) -> bytes:
    head, comma, content = address.partition(",")
    if not comma:
        raise MelderError("a data: address without a comma holds no picture; write data:image/png;base64,CONTENT")
    if not head.endswith(";base64"):
        return unquote_to_bytes(content)
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise MelderError(f"a data: address that is no base64 ({error}); copy it whole") from None


def _of_open_file(file: Any) -> bytes:
    content = file.read()
    if not isinstance(content, bytes):
        raise MelderError("a picture's file was opened as text; open it with mode 'rb'")
    return content


def _of_array(array: NDArray[Any]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise MelderError(f"a picture cannot be an array {list(array.shape)}: give [height, width(, 1, 3 or 4)]")
    return Image.fromarray(_bytes_of(array[:, :, 0] if array.ndim == 3 and channels == 1 else array))


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Its numbers from 0 to 255."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return np.where(array, 255, 0).astype(np.uint8)
    if np.issubdtype(array.dtype, np.unsignedinteger):
        return np.asarray(array >> (8 * array.dtype.itemsize - 8), dtype=np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise MelderError("an array with fractions must lie from 0 to 1 to be a picture; divide it by its largest")
        return np.asarray(np.rint(array * 255), dtype=np.uint8)
    if np.issubdtype(array.dtype, np.integer) and array.min() >= 0 and array.max() <= 255:
        return np.asarray(array, dtype=np.uint8)
    raise MelderError(f"an array of {array.dtype} from {array.min()} to {array.max()} is no picture; give 0 to 255")


def _png(picture: Image.Image) -> bytes:
    output = io.BytesIO()
    if picture.mode in ("CMYK", "YCbCr", "HSV", "LAB", "F"):
        picture = picture.convert("RGB")
    picture.save(output, "PNG", compress_level=1)
    return output.getvalue()
