"""GEMEL's HDF5 of picture features becomes what the encoder `precomputed:` reads."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from melder.data.hdf5_features import find_hdf5, read_vectors
from melder.encoders.precomputed import StoredPictures
from melder.records import Item, MelderError

h5py = pytest.importorskip("h5py")

VECTORS = {"https://example.org/a/b.jpg": np.arange(6.0), "7.jpg": np.ones(6, dtype=np.float16)}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "clip.hdf5", "w") as file:
        for key, vector in VECTORS.items():
            file[key] = vector
        file["bad/nan"] = np.array([np.nan] * 6)
        file["bad/matrix"] = np.ones((2, 6))
        file["bad/text"] = "abc"
        file["row"] = np.full((1, 6), 5.0)
    return tmp_path / "clip.hdf5"


def test_the_encoder_reads_back_the_vectors(stored: Path, tmp_path: Path) -> None:
    keys = {"b%2F.jpg": "https://example.org/a/b.jpg", "7.jpg": "7.jpg", "r.jpg": "row"}
    read_vectors(stored, keys).write(tmp_path / "features" / "pictures.safetensors")
    pictures = StoredPictures([tmp_path / "features" / "pictures.safetensors"])
    assert pictures.widths == (6, 6)
    for name, vector in zip(keys, [*VECTORS.values(), np.full(6, 5.0)], strict=True):
        read = pictures.read(Item(image=Path("somewhere") / name))
        assert torch.equal(read["image_global"], torch.tensor(vector).float())
        assert torch.equal(read["image_tokens"], torch.tensor(vector).float()[None])


def test_pictures_without_a_vector_are_listed_with_their_keys(stored: Path) -> None:
    bad = ("none", "bad", "bad/nan", "bad/matrix", "bad/text")
    found = read_vectors(stored, {"7": "7.jpg"} | {key.replace("/", "-"): key for key in bad})
    assert list(found.vectors) == ["7"]
    assert [record.field for record in found.absent.values()] == list(bad)
    assert {record.file for record in found.absent.values()} == {str(stored)}


def test_a_file_of_use_to_nobody_is_refused(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match="none of the 1 pictures"):
        read_vectors(stored, {"x": "x"})
    with h5py.File(stored, "a") as file:
        file["short"] = np.ones(3)
    with pytest.raises(MelderError, match="vectors of 3 and of 6 numbers"):
        read_vectors(stored, {"7": "7.jpg", "s": "short"})
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(MelderError, match="cannot be read as HDF5"):
        read_vectors(tmp_path / "text.h5", {"x": "x"})
    with pytest.raises(MelderError, match="cannot be read as HDF5"):
        read_vectors(tmp_path / "none.h5", {"x": "x"})
    with pytest.raises(MelderError, match="several HDF5 files"):
        find_hdf5(tmp_path)


def test_without_h5py_it_says_what_to_install(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def lacking(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(MelderError, match=r"pip install 'melder\[hdf5\]'"):
        read_vectors(stored, {"7": "7.jpg"})
