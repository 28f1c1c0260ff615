"""What items share goes through the encoder once: pictures and texts, in one call and from call to call."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from melder.data.pictures import Limits, UnreadablePicture
from melder.encoders import PictureMemory, Towers, build_encoder, encode, encode_chunks, pixels
from melder.encoders.square_cache import SquareCache
from melder.records import Item

Count = Callable[[], int]


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def encoder() -> Towers:
    torch.manual_seed(0)
    return build_encoder("clip:compact", texts=["a red kite", "a blue jay", "apples and pears"]).eval()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Count:
    count, read = [0], pixels.read_picture

    def counting(*arguments: object, **named: object) -> Image.Image:
        count[0] += 1
        return read(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(pixels, "read_picture", counting)
    return lambda: count[0]


@pytest.fixture
def towered(encoder: Towers, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """How many rows went through each tower, call by call."""
    rows: dict[str, list[int]] = {"text": [], "image": []}
    for name, key in (("text", "input_ids"), ("image", "pixels")):
        tower = getattr(encoder, name)
        forward = tower.forward

        def counting(inputs: dict[str, torch.Tensor], forward=forward, name=name, key=key):  # type: ignore[no-untyped-def]
            rows[name].append(len(inputs[key]))
            return forward(inputs)

        monkeypatch.setattr(tower, "forward", counting)
    return rows


def test_a_picture_of_many_items_is_decoded_and_encoded_once(
    encoder: Towers, decoded: Count, towered: dict[str, list[int]]
) -> None:
    image = png("red")
    features = encode(encoder, [Item(f"text {row}", image) for row in range(16)])
    assert decoded() == 1
    assert towered == {"text": [16], "image": [1]}
    assert torch.equal(features.image_global, features.image_global[:1].expand(16, -1))
    assert features.image_mask.all()


def test_a_first_picture_that_is_another_item_s_second_is_decoded_and_encoded_once(
    encoder: Towers, decoded: Count, towered: dict[str, list[int]]
) -> None:
    red, blue = png("red"), png("blue")
    features = encode(encoder, [Item("a", red, further=(blue,)), Item("b", blue, further=(red,))])
    assert decoded() == 2
    assert towered["image"] == [2]
    assert features.further is not None
    assert torch.equal(features.further.image_global, features.image_global.flip(0))


def test_chunks_of_one_call_share_their_pictures(encoder: Towers, decoded: Count) -> None:
    chunks = [[Item(f"{number} {row}", png("red")) for row in range(2)] for number in range(3)]
    first, *later = encode_chunks(encoder, chunks)
    assert decoded() == 1
    assert all(torch.equal(first.image_tokens, features.image_tokens) for features in later)


def test_a_text_of_many_items_is_encoded_once(encoder: Towers, towered: dict[str, list[int]]) -> None:
    features = encode(encoder, [Item("a red kite", png(colour)) for colour in ("red", "blue", "green", "white")])
    assert towered == {"text": [1], "image": [4]}
    assert torch.equal(features.text_tokens, features.text_tokens[:1].expand_as(features.text_tokens))


@pytest.mark.parametrize("size", [1, 3, 64])
def test_sharing_changes_no_value(encoder: Towers, size: int) -> None:
    pictures = [png("red"), None, png("blue"), png("red"), None, png("red")]
    items = [Item(f"a {'kite' if row % 2 else 'jay'}", image) for row, image in enumerate(pictures)]
    with torch.no_grad():
        expected = encoder(encoder.prepare(items))
    shared = encode(encoder, items, batch_size=size)
    for name, tensor in expected.tensors().items():
        assert torch.allclose(shared.tensors()[name].float(), tensor.float(), atol=1e-5), name


def test_equal_bytes_are_one_picture_and_others_are_not(encoder: Towers, towered: dict[str, list[int]]) -> None:
    encode(encoder, [Item("a", png("red")), Item("b", bytes(bytearray(png("red")))), Item("c", png("blue"))])
    assert towered["image"] == [2]


def test_a_memory_spares_pictures_of_earlier_calls(encoder: Towers, towered: dict[str, list[int]]) -> None:
    memory, image = PictureMemory(), png("red")
    first = encode(encoder, [Item("a", image)], memory=memory)
    second = encode(encoder, [Item("b", image), Item("c"), Item("d", png("blue"))], memory=memory)
    assert towered["image"] == [1, 2]  # the second time: the new one, and a blank for those without
    assert torch.equal(first.image_tokens[0], second.image_tokens[0])
    assert second.image_mask.tolist() == [True, False, True]
    assert not second.image_global[1].any()


def test_a_memory_knows_a_file_that_has_changed(encoder: Towers, tmp_path: Path) -> None:
    memory, file = PictureMemory(), tmp_path / "a.png"
    file.write_bytes(png("red"))
    first = encode(encoder, [Item("a", file)], memory=memory)
    file.write_bytes(png("blue"))
    os.utime(file, ns=(1, 1))
    second = encode(encoder, [Item("a", file)], memory=memory)
    assert not torch.allclose(first.image_global, second.image_global)


def test_a_memory_forgets_the_oldest(encoder: Towers, towered: dict[str, list[int]]) -> None:
    memory = PictureMemory(megabytes=0)
    for colour in ("red", "blue", "red"):
        encode(encoder, [Item("a", png(colour))], memory=memory)
    assert towered["image"] == [1, 1, 1]


def test_a_picture_that_was_checked_is_not_decoded_again(encoder: Towers, decoded: Count) -> None:
    image = png("red")
    for _ in range(3):
        encoder.check(image, Limits())
    encode(encoder, [Item("a", image)])
    assert decoded() == 1


def test_a_check_keeps_limits(encoder: Towers) -> None:
    with pytest.raises(UnreadablePicture, match="pixels"):
        encoder.check(png("red"), Limits(pixels=100))


def test_a_bad_picture_of_many_is_told_once_and_counts_as_missing(encoder: Towers) -> None:
    told = list[Item]()
    encoder.on_unreadable = lambda item, error: told.append(item)
    features = encode(encoder, [Item("a", b"no picture"), Item("b", b"no picture"), Item("c", png("red"))])
    assert len(told) == 1
    assert features.image_mask.tolist() == [False, False, True]


def test_a_cache_of_squares_keeps_within_its_room() -> None:
    import numpy as np

    cache, made = SquareCache(megabytes=1), list[bytes]()

    def square(content: bytes) -> object:
        return cache.square(content, 400, lambda: made.append(content) or np.zeros((400, 400, 3), np.uint8))

    for content in (b"a", b"b", b"a", b"c", b"b", b"a"):  # two of them fit
        square(content)
    assert made == [b"a", b"b", b"c", b"b", b"a"]
