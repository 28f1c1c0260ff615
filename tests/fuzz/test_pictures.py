"""The picture decoder: bytes become a picture in RGB, or UnreadablePicture."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fuzz.mutations import PLENTY, spoilt, told
from melder.data import Limits, UnreadablePicture, read_picture

LIMITS = Limits(pixels=4_000_000)  # decoding the largest takes a tenth of a second


def _examples() -> list[bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (noise, "JPEG", {"exif": exif}),
        (noise, "JPEG", {"progressive": True, "quality": 40}),
        (noise.convert("CMYK"), "JPEG", {}),
        (noise, "PNG", {}),
        (noise.convert("RGBA"), "PNG", {}),
        (noise.convert("P"), "PNG", {"transparency": 3}),
        (noise.convert("L").convert("I;16"), "PNG", {}),
        (noise, "WEBP", {}),
        (noise.convert("RGBA"), "WEBP", {"lossless": True, "exif": exif}),
        (noise.convert("P"), "GIF", {}),
        (noise.convert("P"), "GIF", {"save_all": True, "append_images": [noise.rotate(90).convert("P")]}),
        (noise, "WEBP", {"save_all": True, "append_images": [noise.rotate(180)]}),
        (noise, "AVIF", {}),
        (noise.convert("RGBA"), "AVIF", {}),
        (noise, "BMP", {}),
        (noise.convert("P"), "BMP", {}),
        (noise, "TIFF", {}),
        (noise.convert("L").convert("I;16"), "TIFF", {"compression": "tiff_lzw"}),
        (noise.convert("L").convert("F"), "TIFF", {"compression": "tiff_deflate"}),
    ]
    return [_encoded(picture, kind, options) for picture, kind, options in kinds]


def _encoded(picture: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


EXAMPLES = _examples()


def test_the_examples_can_be_read() -> None:
    assert all(read_picture(each).mode == "RGB" for each in EXAMPLES)


def check(content: bytes) -> None:
    try:
        picture = read_picture(content, limits=LIMITS)
    except UnreadablePicture as error:
        told(error)
    else:
        assert picture.mode == "RGB"
        assert picture.width * picture.height <= LIMITS.pixels
        np.asarray(picture).sum()


@PLENTY
@given(spoilt(EXAMPLES))
def test_spoilt_pictures_are_decoded_or_refused(content: bytes) -> None:
    check(content)


@PLENTY
@given(
    st.sampled_from(EXAMPLES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12), st.floats(0, 1)
)
def test_pictures_with_other_bytes_and_cut_short_are_decoded_or_refused(
    example: bytes, changes: list[tuple[float, int]], end: float
) -> None:
    content = bytearray(example)
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    check(bytes(content))
    check(bytes(content[: int(end * len(content))]))


@PLENTY
@given(st.sampled_from([each[:16] for each in EXAMPLES] + [b""]), st.binary(max_size=200))
def test_any_bytes_are_refused(start: bytes, rest: bytes) -> None:
    check(start + rest)
