"""Pictures in the forms in which programs hold them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from melder.data.picture_inputs import picture_of, pictures_of
from melder.data.pictures import read_picture
from melder.records import MelderError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def _png(pixels: np.ndarray = PIXELS) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _decoded(image: object) -> np.ndarray:
    content = picture_of(image)
    assert content is not None
    return np.asarray(read_picture(content))


@pytest.mark.parametrize(
    "image",
    [
        _png(),
        bytearray(_png()),
        memoryview(_png()),
        io.BytesIO(_png()),
        Image.fromarray(PIXELS),
        PIXELS,
        PIXELS[:, ::-1][:, ::-1],
        PIXELS.astype(np.int64),
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        PIXELS.astype(np.uint16) * 257,
        torch.from_numpy(PIXELS),
        "data:image/png;base64," + base64.b64encode(_png()).decode(),
    ],
)
def test_the_same_pixels_in_any_form(image: object) -> None:
    assert (_decoded(image) == PIXELS).all()


def test_grey_and_transparent_pixels() -> None:
    grey, mask = PIXELS[:, :, 0], PIXELS[:, :, 0] > 128
    assert (_decoded(grey)[:, :, 1] == grey).all()
    assert (_decoded(grey[:, :, None])[:, :, 2] == grey).all()
    assert (_decoded(mask)[:, :, 0] == np.where(mask, 255, 0)).all()
    clear = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])
    assert (_decoded(clear) == PIXELS).all()
    assert _decoded(Image.fromarray(PIXELS).convert("CMYK")).shape == PIXELS.shape


def test_files_and_none(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(_png())
    assert picture_of(file) == picture_of(str(file)) == file
    assert picture_of(None) is None
    with file.open("rb") as opened:
        assert picture_of(opened) == _png()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("nowhere.png", "nowhere.png: there is no such file"),
        ("https://example.org/a.png", "pictures are not fetched"),
        ("data:image/png;base64", "without a comma"),
        ("data:image/png;base64,a", "no base64"),
        (io.StringIO("text"), "open it with mode 'rb'"),
        (5, "cannot be of the type int"),
        (np.zeros((2, 2, 5)), r"cannot be an array \[2, 2, 5\]"),
        (np.zeros(4), r"cannot be an array \[4\]"),
        (np.zeros((0, 3)), "cannot be an array"),
        (np.full((2, 2), np.nan), "from 0 to 1"),
        (np.full((2, 2), 3.5), "from 0 to 1"),
        (np.full((2, 2), -1), "give 0 to 255"),
    ],
)
def test_what_is_no_picture_is_said_in_one_line(image: object, message: str) -> None:
    with pytest.raises(MelderError, match=message) as raised:
        picture_of(image)
    assert "\n" not in str(raised.value)


def test_several_pictures_are_a_list_of_any_of_these_forms(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png())
    assert pictures_of([str(tmp_path / "a.png"), _png(), None]) == (tmp_path / "a.png", _png())
    assert pictures_of((Image.fromarray(PIXELS),)) == pictures_of(Image.fromarray(PIXELS))
    assert pictures_of(None) == pictures_of([]) == ()
    with pytest.raises(MelderError, match="there is no such file"):
        pictures_of([_png(), tmp_path / "b.png"])
