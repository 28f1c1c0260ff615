"""Pictures are read ahead of the encoder, in threads: what comes out is what a plain loop gives, bit for bit."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from melder.data.pictures import UnreadablePicture
from melder.encoders import PictureMemory, Towers, build_encoder, encode, encode_chunks, pixels
from melder.encoders.read_ahead import BATCHES, PICTURES, ReadAhead
from melder.features import Features
from melder.records import Item

TEXTS = ["a red kite", "a blue jay", "apples and pears", "", "a kite over the blue, blue sea"]

BROKEN = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00"  # EXIF that ends in its first entry


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, draw = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(12)]
    for path in paths:
        Image.fromarray(draw.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def encoder() -> Towers:
    torch.manual_seed(0)
    return build_encoder("clip:compact", texts=TEXTS).eval()


@pytest.fixture
def items(files: list[Path]) -> list[Item]:
    """Texts and pictures that come again, also far from where they were first, and items without either."""
    rows = range(40)
    return [Item(TEXTS[row % 5] + "!" * (row % 3), files[row * 7 % 12] if row % 4 else None) for row in rows]


def plain(encoder: Towers, items: Sequence[Item], size: int) -> Features:
    """Batches of like length; each of 1, 2, 3, 4, 6, 8, ... rows; a picture only where it comes first."""
    order = sorted(range(len(items)), key=lambda row: (-len(items[row].text), items[row].text))
    vectors, first = torch.zeros(len(items), encoder.sizes.image_global or 0), dict[object, int]()
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = [Item(items[row].text, None if items[row].image in first else items[row].image) for row in rows]
        inputs = encoder.prepare_distinct(batch)
        for name, tensor in inputs.items():
            filled = next(count for count in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if count >= len(tensor))
            inputs[name] = torch.cat([tensor, *[tensor[-1:]] * (filled - len(tensor))])
        with torch.inference_mode():
            features = encoder(inputs)
        vectors[rows] = features.image_global[: len(rows)]
        for row in rows:
            if items[row].image is not None:
                vectors[row] = vectors[first.setdefault(items[row].image, row)]
    return Features(text_global=vectors[:, :0], text_tokens=vectors[:, :0], image_global=vectors)


@pytest.mark.parametrize("size", [3, 16, 64])
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_what_is_read_ahead_gives_the_same_features_bit_for_bit(
    encoder: Towers, items: list[Item], size: int, threads: int
) -> None:
    features = encode(encoder, items, batch_size=size, threads=threads)
    assert torch.equal(features.image_global, plain(encoder, items, size).image_global)
    one_by_one = encode(encoder, items, batch_size=size, threads=0)
    for name, tensor in one_by_one.tensors().items():
        assert torch.equal(features.tensors()[name], tensor), name


@pytest.mark.parametrize("threads", [0, 3])
def test_chunks_are_encoded_as_by_themselves(encoder: Towers, items: list[Item], threads: int) -> None:
    chunks = [items[:16], items[16:17], items[17:]]
    together = list(encode_chunks(encoder, chunks, batch_size=8, threads=threads))
    for chunk, features in zip(chunks, together, strict=True):
        alone = encode(encoder, chunk, batch_size=8)
        assert all(torch.equal(tensor, alone.tensors()[name]) for name, tensor in features.tensors().items())


def test_each_picture_of_a_call_is_read_and_encoded_once_however_little_is_remembered(
    encoder: Towers, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, lock, decode = list[object](), threading.Lock(), pixels.read_picture
    encoded, forward = list[int](), encoder.image.forward

    def reading(source: Path, **limits: object) -> Image.Image:
        with lock:
            read.append(source)
        return decode(source, **limits)

    monkeypatch.setattr(pixels, "read_picture", reading)
    monkeypatch.setattr(
        encoder.image, "forward", lambda inputs: encoded.append(int(inputs["image_mask"].sum())) or forward(inputs)
    )
    encode(encoder, items, batch_size=2, threads=3, memory=PictureMemory(megabytes=0))
    distinct = {item.image for item in items if item.image is not None}
    assert len(read) == len(distinct) == len(set(read))
    assert sum(encoded) == len(distinct)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut short"])
@pytest.mark.parametrize("threads", [0, 3])
def test_an_unreadable_picture_is_told_of_in_the_order_of_the_batches(
    encoder: Towers, items: list[Item], tmp_path: Path, threads: int, content: bytes
) -> None:
    bad = [tmp_path / "first.jpg", tmp_path / "second.jpg"]
    for path in bad:
        path.write_bytes(content)
    items[3], items[30] = Item("a long text " * 3, bad[0]), Item("a", bad[1])
    with pytest.raises(UnreadablePicture, match=r"first\.jpg"):
        encode(encoder, items, batch_size=4, threads=threads)
    told = list[object]()
    encoder.on_unreadable = lambda item, error: told.append((item.image, threading.current_thread().name))
    features = encode(encoder, items, batch_size=4, threads=threads)
    assert told == [(path, "MainThread") for path in bad]
    assert [row for row in range(40) if not features.image_mask[row] and items[row].image] == [3, 30]


def test_only_a_few_batches_are_read_ahead() -> None:
    class Pictures:
        def __init__(self, number: int, count: int) -> None:
            self.items = [Item("", Path(f"{number}-{row}.jpg")) for row in range(count)]

        def unread(self) -> list[Item]:
            begun.append(self)
            return self.items

    begun = list[object]()
    for count, ahead in ((PICTURES // 2, 3), (PICTURES * 2, 2), (1, BATCHES), (0, BATCHES)):
        begun.clear()
        with ReadAhead(lambda item: {}, 2) as reader:
            taken = reader.over(Pictures(number, count) for number in range(50))
            next(taken)
            assert len(begun) == ahead
            next(taken)
            assert len(begun) == ahead + 1


def test_no_thread_and_no_filter_of_warnings_is_left(encoder: Towers, items: list[Item]) -> None:
    before, filters = set(threading.enumerate()), list(warnings.filters)
    encode(encoder, items, threads=3)
    chunks = encode_chunks(encoder, [items, items], batch_size=8, threads=3)
    next(chunks)
    del chunks
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile
    assert warnings.filters == filters


def test_pictures_that_pillow_warns_of_are_read_in_threads_without_a_word(encoder: Towers, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(40)]
    for path in paths:
        Image.new("RGB", (20, 20)).save(path, exif=BROKEN)
    with pytest.warns(UserWarning, match="EXIF"), Image.open(paths[0]) as picture:
        picture.getexif()
    features = encode(encoder, [Item("a", path) for path in paths], batch_size=4, threads=4)
    assert features.image_mask.all()


def test_what_was_encoded_is_counted(encoder: Towers, items: list[Item]) -> None:
    assert str(encoder.throughput) == ""
    encode(encoder, items, batch_size=8)
    assert (encoder.throughput.texts, encoder.throughput.pictures) == (40 - sum(not item.text for item in items), 30)
    encoder.throughput.seconds = 2.0
    texts = encoder.throughput.texts
    assert str(encoder.throughput) == f"{texts} texts ({texts / 2:.1f}/s) and 30 pictures (15.0/s) encoded in 2 s"


def test_of_texts_alone_no_pictures_are_counted(encoder: Towers) -> None:
    encode(encoder, [Item("a red kite"), Item("a blue jay"), Item()])
    encoder.throughput.seconds = 0.5
    assert str(encoder.throughput) == "2 texts (4.0/s) encoded in 0 s"
