from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from melder.data.pictures import UnreadablePicture
from melder.encoders import build_encoder, pixels, square_cache
from melder.encoders.pixels import PixelFormat, Pixels
from melder.encoders.towers import Options
from melder.records import Item

FORM = PixelFormat(8, mean=(0.5, 0.5, 0.5), deviation=(0.25, 0.5, 1.0))


def _picture(file: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (20, 10), colour).save(file)
    return file


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is decoded from now on."""
    read, decoded = pixels.read_picture, []

    def counting(source: Path | bytes, **options: object) -> Image.Image:
        decoded.append(source)
        return read(source, **options)

    monkeypatch.setattr(pixels, "read_picture", counting)
    return decoded


def test_values_are_normalised_by_channel(tmp_path: Path) -> None:
    reader = Pixels(FORM)
    row = reader.read(Item("", _picture(tmp_path / "a.png", (0, 255, 51))))["pixels"]
    values = reader({"pixels": row[None], "image_mask": torch.tensor([True])})
    assert values.shape == (1, 3, 8, 8)
    assert np.allclose(values[0, :, 4, 4], [-2.0, 1.0, -0.3], atol=1e-6)


def test_a_missing_picture_is_zero_after_normalising() -> None:
    reader = Pixels(FORM)
    assert not reader({"pixels": reader.blank["pixels"][None], "image_mask": torch.tensor([False])}).any()


def test_a_file_is_decoded_once_for_each_kind_of_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, decoded, reader = _picture(tmp_path / "a.png", (1, 2, 3)), _counted(monkeypatch), Pixels(FORM)
    for augment in (None, None, 1, 2, 3, None):
        reader.read(Item("", file, augment=augment))
    assert len(decoded) == 2


def test_the_cache_keeps_what_it_has_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(square_cache, "_MEGABYTE", 8 * 8 * 3)  # so that one unit is one picture
    first, second = (_picture(tmp_path / name, (9, 9, 9)) for name in ("a.png", "b.png"))
    decoded, reader = _counted(monkeypatch), Pixels(FORM, cache=1)
    for file in (first, second, first, second):
        reader.read(Item("", file))
    assert decoded == [first, second, second]


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    reader, file = Pixels(FORM), _picture(tmp_path / "a.png", (250, 0, 0))
    before = reader.read(Item("", file))["pixels"]
    _picture(file, (0, 250, 0))
    os.utime(file, ns=(1, 1))
    after = reader.read(Item("", file))["pixels"]
    assert (before[0, 0, 0], after[0, 0, 0]) == (250, 0)


def test_what_a_caller_does_to_pixels_does_not_reach_the_cache(tmp_path: Path) -> None:
    reader, item = Pixels(FORM), Item("", _picture(tmp_path / "a.png", (250, 0, 0)))
    reader.read(item)["pixels"].zero_()
    assert reader.read(item)["pixels"].any()


@pytest.fixture(params=["damaged", "absent"])
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "bad.png"
    if request.param == "damaged":
        file.write_bytes(_picture(tmp_path / "good.png", (1, 2, 3)).read_bytes()[:45])
    return file


def test_a_picture_that_cannot_be_read_is_an_error(bad: Path) -> None:
    with pytest.raises(UnreadablePicture, match=r"bad\.png"):
        build_encoder("clip:compact").prepare([Item("text", bad)])


def test_or_it_is_counted_and_the_item_has_no_picture(bad: Path, pictures: dict[str, Path]) -> None:
    seen: list[tuple[Item, Exception]] = []
    encoder = build_encoder("clip:compact")
    encoder.on_unreadable = lambda item, error: seen.append((item, error))
    inputs = encoder.prepare([Item("text", bad), Item("text", pictures["red"])])
    assert inputs["image_mask"].tolist() == [False, True]
    assert not inputs["pixels"][0].any()
    assert [(item.image, type(error)) for item, error in seen] == [(bad, UnreadablePicture)]


def test_published_pixels_are_those_of_the_published_loader(tmp_path: Path) -> None:
    file, exif = tmp_path / "turned.png", Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    Image.fromarray(noise).save(file, exif=exif)
    expected = Image.open(file).resize((8, 8), Image.Resampling.LANCZOS).convert("RGB")
    published, usual = (Pixels(FORM.read_for(Options(published=published))) for published in (True, False))
    row = published.read(Item("", file))["pixels"].permute(1, 2, 0).numpy()
    assert np.array_equal(row, np.asarray(expected))
    assert not np.array_equal(usual.read(Item("", file))["pixels"].permute(1, 2, 0).numpy(), row)


def test_formats_and_sizes_are_the_encoders(tmp_path: Path) -> None:
    file = tmp_path / "a.bmp"
    Image.new("RGB", (20, 10), (1, 2, 3)).save(file)
    for options, message in (
        (Options(formats=("PNG",)), "formats PNG; convert"),
        (Options(pixels=100), "than 100 pix"),
    ):
        with pytest.raises(UnreadablePicture, match=message):
            Pixels(FORM.read_for(options)).read(Item("", file))
    assert Pixels(FORM).read(Item("", file))["pixels"].shape == (3, 8, 8)


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        FORM.read_for(Options()),
        FORM.read_for(Options(published=True, formats=("PNG",), pixels=9)),
        replace(FORM, patch=4),
    ],
)
def test_a_format_is_written_and_read(form: PixelFormat) -> None:
    assert PixelFormat.from_json(json.loads(json.dumps(form.to_json()))) == form


def test_what_was_written_before_is_read_as_it_was() -> None:
    written = {"size": 8, "mean": [0.5, 0.5, 0.5], "deviation": [0.25, 0.5, 1.0], "scale": 1 / 255}
    assert PixelFormat.from_json(written) == FORM
    assert not FORM.stored
    assert not FORM.reduced
    assert json.loads(json.dumps(FORM.to_json())) == written
