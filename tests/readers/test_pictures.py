"""Every kind of picture comes out upright, in RGB, or is refused with a reason."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from melder.data import Limits, UnreadablePicture, fit, read_picture
from melder.data.pictures import WEB_FORMATS, fit_stored

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def quarters() -> Image.Image:
    """16 by 24: red and green above, blue and white below."""
    picture = Image.new("RGB", (16, 24))
    for place, colour in zip([(0, 0), (8, 0), (0, 12), (8, 12)], [RED, GREEN, BLUE, WHITE], strict=True):
        picture.paste(colour, (*place, place[0] + 8, place[1] + 12))
    return picture


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))


def close(left: Image.Image, right: Image.Image, tolerance: int) -> bool:
    difference = np.asarray(left, dtype=int) - np.asarray(right, dtype=int)
    return bool(np.abs(difference).max() <= tolerance)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">II4s", zlib.crc32(header), 9, b"IDAT")


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("GIF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 100, "subsampling": 0}, 4),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 4),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("BMP", {}, 0),
    ],
)
def test_the_formats_are_read_from_files_and_from_bytes(tmp_path, kind, options, tolerance):
    data = encoded(quarters(), kind, **options)
    (tmp_path / "picture").write_bytes(data)
    for source in (data, tmp_path / "picture"):
        picture = read_picture(source)
        assert picture.mode == "RGB"
        assert close(picture, quarters(), tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turned_picture_is_set_upright(kind, orientation):
    undo = {  # how a camera stores an upright picture under each orientation
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_TOP_BOTTOM],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = quarters()
    for turn in undo[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    picture = read_picture(encoded(stored, kind, exif=exif, **options))
    assert picture.size == (16, 24)
    assert close(picture, quarters(), 4)


def test_broken_exif_does_not_spoil_the_pixels(recwarn):
    assert read_picture(encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).size == (16, 24)
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_greyscale_becomes_three_equal_channels(kind):
    pixels = np.asarray(read_picture(encoded(Image.new("L", (8, 8), 90), kind)))
    assert (pixels == 90).all()


def test_sixteen_bits_are_scaled_not_clipped():
    grey = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    picture = read_picture(encoded(Image.fromarray(grey), "PNG"))
    assert np.array_equal(np.asarray(picture)[..., 0], grey >> 8)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
def test_fewer_bits_in_sixteen_are_seen_in_their_range(kind, bits):
    grey = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(8, 8)
    picture = read_picture(encoded(Image.fromarray(grey), kind))
    assert np.array_equal(np.asarray(picture)[..., 0], grey >> (bits - 8))


def test_eight_bits_in_sixteen_are_left_as_they_are():
    grey = np.arange(64, dtype=np.uint16).reshape(8, 8)
    assert np.array_equal(np.asarray(read_picture(encoded(Image.fromarray(grey), "PNG")))[..., 0], grey)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 4000.0), (-20.0, 60.0), (0.25, 0.5)])
def test_numbers_that_are_no_integers_have_a_range_too(low, high):
    values = np.linspace(low, high, 64, dtype=np.float32).reshape(8, 8)
    grey = np.asarray(read_picture(encoded(Image.fromarray(values), "TIFF")))[..., 0]
    bottom, top = min(0.0, low), max(1.0, high)
    assert np.abs(grey - (values - bottom) * 255 / (top - bottom)).max() <= 1
    assert np.asarray(read_picture(encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"))).max() == 0


def test_negative_integers_are_black():
    values = np.linspace(-900, 4095, 64, dtype=np.int32).reshape(8, 8)
    grey = np.asarray(read_picture(encoded(Image.fromarray(values), "TIFF")))[..., 0]
    assert np.array_equal(grey, np.maximum(values, 0) >> 4)


def test_cmyk_has_the_colours_of_its_inks():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert close(read_picture(encoded(red, "JPEG", quality=100)), Image.new("RGB", (8, 8), RED), 4)


def test_one_bit_pictures_are_black_and_white():
    assert read_picture(encoded(Image.new("1", (8, 8), 1), "PNG")).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_alpha_is_laid_on_white(kind):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    clear.paste((255, 0, 0, 128), (4, 0, 8, 8))
    picture = read_picture(encoded(clear, kind, lossless=True))
    assert picture.getpixel((0, 0)) == WHITE
    assert close(picture.crop((4, 0, 8, 8)), Image.new("RGB", (4, 8), (255, 127, 127)), 1)


def test_grey_with_alpha_is_laid_on_white():
    assert read_picture(encoded(Image.new("LA", (8, 8), (0, 0)), "PNG")).getpixel((0, 0)) == WHITE


def logo(*colours, mode="RGBA"):
    """Bars of colours on nothing."""
    picture = Image.new("RGBA", (400, 60), (0, 0, 0, 0))
    for number, colour in enumerate(colours):
        picture.paste((*colour, 255), (20 * number + 5, 10, 20 * number + 17, 50))
    return picture.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("colours", [[WHITE], [WHITE, WHITE, BLUE], [(250, 250, 240)], [WHITE, (0, 0, 0)]])
def test_a_light_logo_is_laid_on_grey(colours, mode):
    picture = np.asarray(read_picture(encoded(logo(*colours, mode=mode), "PNG")), dtype=int)
    assert (picture[0, 0] == 128).all()
    assert picture.max() - 128 > 100


@pytest.mark.parametrize("colours", [[BLUE], [WHITE, BLUE, BLUE], [(230, 230, 230)], []])
def test_other_logos_are_laid_on_white(colours):
    assert read_picture(encoded(logo(*colours), "PNG")).getpixel((0, 0)) == WHITE


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # of the published loader
def test_a_stored_picture_is_as_a_published_loader_has_it():
    turned = Image.Exif()
    turned[0x0112] = 6
    for picture in (logo(WHITE, BLUE), quarters(), logo(BLUE).convert("P"), Image.new("LA", (9, 7), (40, 9))):
        data = encoded(picture, "PNG", exif=turned)
        with Image.open(io.BytesIO(data)) as opened:
            theirs = opened.resize((24, 24), Image.Resampling.LANCZOS).convert("RGB")
        assert np.array_equal(fit_stored(data, 24), np.asarray(theirs))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_a_stored_picture_of_any_kind_is_fitted_or_refused(mode):
    picture = quarters().convert("L").convert(mode) if mode in ("I;16", "I", "F") else quarters().convert(mode)
    with contextlib.suppress(UnreadablePicture):
        assert fit_stored(encoded(picture, "TIFF"), 24).shape == (24, 24, 3)


def test_a_large_jpeg_is_decoded_at_a_fraction():
    data = encoded(quarters().resize((1600, 2400), Image.Resampling.NEAREST), "JPEG", quality=95)
    assert read_picture(data).size == (1600, 2400)
    reduced = read_picture(data, needed=224)
    assert reduced.size == (533, 800) or max(reduced.size) <= 1200
    assert min(reduced.size) >= 448
    assert close(reduced.resize((2, 2)), quarters().resize((2, 2)), 6)
    assert read_picture(data, needed=2000).size == (1600, 2400)


def test_a_scan_beyond_the_limit_is_reduced_until_it_fits():
    data = encoded(quarters().resize((1600, 2400)), "JPEG")
    assert read_picture(data, limits=Limits(pixels=1_000_000)).size == (800, 1200)
    assert read_picture(data, limits=Limits(pixels=100_000)).size == (200, 300)
    with pytest.raises(UnreadablePicture, match="200×300 is more than 50,000 pixels"):
        read_picture(data, limits=Limits(pixels=50_000))
    with pytest.raises(UnreadablePicture, match="1,600×2,400 is more than 3,000,000 pixels"):
        read_picture(data, limits=Limits(pixels=1_000_000, scan=3_000_000))
    with pytest.raises(UnreadablePicture, match="1,600×2,400 is more than 1,000,000 pixels"):
        read_picture(encoded(quarters().resize((1600, 2400)), "PNG"), limits=Limits(pixels=1_000_000))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_white(kind):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0, 0, 0, 255])
    picture.paste(1, (4, 0, 8, 8))
    read = read_picture(encoded(picture, kind, transparency=0))
    assert read.getpixel((0, 0)) == WHITE
    assert read.getpixel((7, 0)) == BLUE


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert read_picture(data).getpixel((0, 0)) == RED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_pictures_are_errors(tmp_path, kind, share):
    data = encoded(noise(), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UnreadablePicture, match=r"cut\.img: (damaged|not a picture)"):
        read_picture(path)


def test_no_damage_of_bytes_raises_anything_else():
    random = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        whole = np.frombuffer(encoded(noise(), kind), dtype=np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 8)] = random.integers(0, 256, 8)
            with contextlib.suppress(UnreadablePicture):
                assert read_picture(damaged.tobytes()).mode == "RGB"


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_pictures_of_one_row_or_column_are_too_small(size):
    with pytest.raises(UnreadablePicture, match="smaller than 2×2"):
        read_picture(encoded(Image.new("RGB", size), "PNG"))


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (50_001, 1_000)])
def test_pictures_with_too_many_pixels_are_refused_before_decoding(size, recwarn):
    with pytest.raises(UnreadablePicture, match="more than 50,000,000 pixels"):
        read_picture(png_header(*size))  # it has no pixels: decoding would say that it is damaged
    assert not recwarn.list


def test_limits_can_be_set():
    data = encoded(noise(), "PNG")
    with pytest.raises(UnreadablePicture, match="40×40 is more than 1,599 pixels"):
        read_picture(data, limits=Limits(pixels=1599))
    assert read_picture(data, limits=Limits(pixels=1600, bytes=len(data), side=40)).size == (40, 40)
    with pytest.raises(UnreadablePicture, match="bytes; save a smaller one"):
        read_picture(data, limits=Limits(bytes=len(data) - 1))


@pytest.mark.parametrize("kind", ["PPM", "EPS", "ICO", "JPEG2000"])
def test_other_formats_stay_shut(kind):
    with pytest.raises(UnreadablePicture, match="formats JPEG, PNG, WEBP, GIF, AVIF, TIFF, BMP; convert it"):
        read_picture(encoded(quarters(), kind))


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "AVIF"])
def test_formats_are_a_setting(kind):
    with pytest.raises(UnreadablePicture, match="formats JPEG, PNG, WEBP, GIF; convert it"):
        read_picture(encoded(quarters(), kind), limits=Limits(formats=WEB_FORMATS))


@pytest.mark.parametrize("data", [b"", b"<svg/>"])
def test_bytes_that_are_no_picture_are_refused(data):
    with pytest.raises(UnreadablePicture, match="the picture given: not a picture"):
        read_picture(data)


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "absent.jpg", tmp_path):
        with pytest.raises(UnreadablePicture, match=f"{path.name}: there is no such file"):
            read_picture(path)


def test_fit_gives_a_square_without_keeping_the_aspect_ratio():
    pixels = fit(quarters(), 224)
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    corners = [tuple(int(value) for value in pixels[y, x]) for y in (5, 218) for x in (5, 218)]
    assert corners == [RED, GREEN, BLUE, WHITE]
    assert np.array_equal(pixels, np.asarray(quarters().resize((224, 224), Image.Resampling.LANCZOS)))


def test_a_jpeg_that_is_drawn_over_and_over_is_refused_before_it_is_decoded() -> None:
    file = io.BytesIO()
    Image.new("L", (64, 64), 128).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    drawn = [content[:last] + content[last:-2] * passes + content[-2:] for passes in (20, 200)]
    assert read_picture(drawn[0]).size == (64, 64)
    with pytest.raises(UnreadablePicture, match="more than 100 passes"):
        read_picture(drawn[1])


def _with_chunks(content: bytes, chunk: bytes) -> bytes:
    """A PNG with a million chunks behind its header."""
    return content[:33] + chunk * 1_000_000 + content[33:]


SMALL = Image.new("RGB", (8, 8))
TEXT_CHUNK = b"\x00\x00\x00\x03tEXtk\x00a" + zlib.crc32(b"tEXtk\x00a").to_bytes(4, "big")
PRIVATE_CHUNK = b"\x00\x00\x00\x00vpAg" + zlib.crc32(b"vpAg").to_bytes(4, "big")
FLOODS = {
    "JPEG, fill bytes": lambda: b"\xff\xd8" + b"\xff" * 2_000_000 + encoded(SMALL, "JPEG")[2:],
    "JPEG, empty comments": lambda: b"\xff\xd8" + b"\xff\xfe\x00\x02" * 500_000 + encoded(SMALL, "JPEG")[2:],
    "JPEG, markers without a length": lambda: b"\xff\xd8" + b"\xff\xf0" * 1_000_000 + encoded(SMALL, "JPEG")[2:],
    "JPEG, resources": lambda: (
        b"\xff\xd8" + (b"\xff\xed\xff\xffPhotoshop 3.0\x00" + (b"8BIM" + bytes(8)) * 5_460 + b"\0") * 9
    ),
    "PNG, texts": lambda: _with_chunks(encoded(SMALL, "PNG"), TEXT_CHUNK),
    "PNG, private chunks": lambda: _with_chunks(encoded(SMALL, "PNG"), PRIVATE_CHUNK),
    "GIF, comments": lambda: encoded(SMALL, "GIF").replace(b"\x2c", b"\x21\xfe\x01a\x00" * 500_000 + b"\x2c", 1),
    "GIF, blocks of one byte": lambda: encoded(SMALL, "GIF").replace(
        b"\x2c", b"\x21\xfe" + b"\x01a" * 500_000 + b"\x00\x2c", 1
    ),
    "GIF, junk": lambda: encoded(SMALL, "GIF").replace(b"\x2c", b"\x01" * 2_000_000 + b"\x2c", 1),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_file_of_very_many_small_blocks_is_refused_before_they_are_read(flood: Callable[[], bytes]) -> None:
    with pytest.raises(UnreadablePicture, match=r"too many small blocks|resources of Photoshop"):
        read_picture(flood())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_laid_on_something_is_as_a_whole_whatever_its_height(mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (600, 5, 4), dtype=np.uint8)
    picture = Image.fromarray(values)
    content = encoded(picture.quantize(200) if mode == "P" else picture.convert(mode), "PNG")
    stored = Image.open(io.BytesIO(content)).convert("RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", stored.size, "white"), stored).convert("RGB")
    assert np.array_equal(np.asarray(read_picture(content)), np.asarray(whole))
