"""Which pictures count as near-duplicates, and that none are missed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from audit.made import encoded, photo
from melder.data.audit.contents import Contents
from melder.data.audit.fingerprints import fingerprint
from melder.data.audit.near import BITS, COLOURS, near_pairs


def flipped(hash_: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """The hash with `count` of its 256 bits turned, anywhere."""
    bits = np.unpackbits(hash_.view(np.uint8))
    bits[random.choice(256, count, replace=False)] ^= 1
    return np.packbits(bits).view(np.uint16)


def test_all_pairs_are_found_that_a_comparison_of_every_pair_finds() -> None:
    random = np.random.default_rng(0)
    bases = random.integers(0, 2**16, (12, 16), dtype=np.uint16)
    hashes = np.concatenate([bases, *(np.stack([flipped(base, n, random) for n in range(3, 30)]) for base in bases)])
    smalls = random.integers(100, 104, (len(hashes), 16, 17, 3), dtype=np.uint8)
    smalls[::7] += 60
    ones = np.unpackbits((hashes[:, None] ^ hashes[None]).view(np.uint8), axis=2).sum(axis=2)
    flat = smalls.reshape(len(smalls), -1).astype(np.int64)
    colours = np.stack([np.abs(flat - row).mean(axis=1) for row in flat])
    expected = np.argwhere(np.triu((ones <= BITS) & (colours <= COLOURS), k=1))
    assert len(expected) > 100
    np.testing.assert_array_equal(near_pairs(hashes, smalls), expected)


def test_alike_hashes_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melder.data.audit.near._AT_ONCE", 7)
    pairs = near_pairs(np.zeros((5, 16), dtype=np.uint16), np.zeros((5, 16, 17, 3), dtype=np.uint8))
    assert pairs.tolist() == [[i, j] for i in range(5) for j in range(i + 1, 5)]


def test_without_pictures_there_are_no_pairs() -> None:
    assert near_pairs(np.zeros((0, 16), dtype=np.uint16), np.zeros((0, 16, 17, 3), dtype=np.uint8)).shape == (0, 2)


ALIKE = {
    "JPEG of low quality": lambda picture: encoded(picture, "JPEG", quality=40),
    "WebP": lambda picture: encoded(picture, "WEBP", quality=50),
    "half the size": lambda picture: encoded(picture.resize((96, 96), Image.Resampling.LANCZOS), "JPEG"),
    "stretched": lambda picture: encoded(picture.resize((300, 230), Image.Resampling.BICUBIC), "JPEG"),
    "a little brighter": lambda picture: encoded(ImageEnhance.Brightness(picture).enhance(1.03), "JPEG"),
}
OTHER = {
    "another photograph": lambda picture: encoded(photo(77)),
    "mirrored": lambda picture: encoded(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "without colours": lambda picture: encoded(picture.convert("L")),
    "half of it": lambda picture: encoded(picture.crop((0, 0, 96, 192))),
    "other colours": lambda picture: encoded(Image.merge("RGB", picture.split()[::-1])),
}


def relation(directory: Path, one: bytes, other: bytes) -> str | None:
    files = directory / "one", directory / "other"
    for path, data in zip(files, (one, other), strict=True):
        path.write_bytes(data)
    return Contents.read(files).relation(*files)


@pytest.mark.parametrize("change", ALIKE)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_anew_is_a_near_duplicate(change: str, seed: int, tmp_path: Path) -> None:
    assert relation(tmp_path, encoded(photo(seed, 192)), ALIKE[change](photo(seed, 192))) == "near"


@pytest.mark.parametrize("change", OTHER)
@pytest.mark.parametrize("seed", range(3))
def test_another_picture_is_none(change: str, seed: int, tmp_path: Path) -> None:
    assert relation(tmp_path, encoded(photo(seed, 192)), OTHER[change](photo(seed, 192))) is None


def test_plain_areas_that_differ_by_noise_have_the_same_hash(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(253, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "a").write_bytes(encoded(Image.fromarray(noise)))
    (tmp_path / "b").write_bytes(encoded(Image.new("RGB", (64, 64), "white")))
    np.testing.assert_array_equal(fingerprint(tmp_path / "a").hash, fingerprint(tmp_path / "b").hash)


def test_plain_pictures_of_other_colours_are_no_duplicates(tmp_path: Path) -> None:
    white, grey = (encoded(Image.new("RGB", (64, 64), colour)) for colour in ("white", "#f0f0f0"))
    assert relation(tmp_path, white, grey) is None


def test_a_file_is_the_same_as_itself_even_when_it_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "absent.png"
    contents = Contents.read([path])
    assert contents.absent == {path}
    assert contents.relation(path, path) == "file"
    assert contents.relation(path, tmp_path / "other.png") is None
