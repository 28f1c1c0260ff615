"""Stored features: HDF5 of GEMEL, files of `precomputed:` and Melder's own, spoilt; they are read or refused."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from torch import Tensor

from fuzz.mutations import PLENTY, bytes_of, json_values, spoilt, texts, told
from melder.data.hdf5_features import read_vectors
from melder.encoders.precomputed import StoredPictures, find_files
from melder.encoders.store import load_features, save_features
from melder.features import Features
from melder.records import Item, MelderError

DATASETS: dict[str, Any] = {
    "a.jpg": np.arange(6.0),
    "http://x/b.jpg": np.ones(6, np.float16),
    "row": np.full((1, 6), 5),
    "packed": np.arange(6, dtype=np.float32),
    "group/text": "abc",
    "nan": np.full(6, np.nan),
    "huge": np.full(6, 1e300),
    "matrix": np.ones((2, 6)),
    "none": np.zeros(0),
    "scalar": np.float64(1),
    "complex": np.ones(6, complex),
    "short": np.ones(3),
    "type": np.dtype("f8"),
}
NAMES = ["a.jpg", "b.jpg"]
ARRAYS = {"image_global": np.ones((2, 3), np.float16), "image_tokens": np.ones((2, 4, 5), np.float16)}
KINDS = [np.dtype(kind) for kind in ("f2", "f4", "f8", "i8", "u1", "?", "c8")]
IDS = ["1", "2"]


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes replaced, so that what stands behind them stays in its place, then spoilt at times."""
    other = bytearray(content)
    for place, value in draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8)):
        other[int(place * (len(other) - 1))] = value
    return draw(spoilt([bytes(other)])) if draw(st.booleans()) else bytes(other)


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=4))
    return np.ones(shape, draw(st.sampled_from(KINDS)))


def hdf5(datasets: Mapping[str, Any], version: str = "earliest") -> bytes:
    h5py = pytest.importorskip("h5py", reason="needs melder[hdf5]")
    file = io.BytesIO()
    with h5py.File(file, "w", libver=version) as content:
        for key, value in datasets.items():
            if key == "packed":
                content.create_dataset(key, data=value, chunks=(3,), compression="gzip", fletcher32=True)
            else:
                content[key] = value
        content["loop"] = h5py.SoftLink("/loop")
        content["empty"] = h5py.Empty("f4")
        content.create_dataset("endless", (1 << 40,), "f4", chunks=(1024,))
    return file.getvalue()


def check_hdf5(path: Path, content: bytes, keys: list[str]) -> None:
    path.write_bytes(content)
    try:
        found = read_vectors(path, {f"{number}.jpg": key for number, key in enumerate(keys)})
        assert len(found.vectors) + len(found.absent) == len(keys)
        assert all(vector.dtype == np.float32 and np.isfinite(vector).all() for vector in found.vectors.values())
        found.write(path.with_suffix(".safetensors"))
        StoredPictures([path.with_suffix(".safetensors")])
    except MelderError as error:
        told(error)


@PLENTY
@given(st.data())
def test_hdf5_is_read_or_refused(directory: Path, data: st.DataObject) -> None:
    version = data.draw(st.sampled_from(["earliest", "latest"]))
    content = data.draw(changed(hdf5({key: DATASETS[key] for key in ("a.jpg", "row", "packed")}, version)))
    check_hdf5(directory / "a.hdf5", content, ["a.jpg", "row", "packed", "loop", "none"])


@PLENTY
@given(
    st.lists(
        st.one_of(st.sampled_from([*DATASETS, "group", "loop", "empty", "endless", "/", ".", "a.jpg\0b"]), texts),
        max_size=4,
    )
)
def test_keys_of_anything_have_a_vector_or_none(directory: Path, keys: list[str]) -> None:
    path = directory / "whole.hdf5"
    content = path.read_bytes() if path.is_file() else hdf5(DATASETS)
    check_hdf5(path, content, keys)


@PLENTY
@given(st.data())
def test_features_for_precomputed_are_read_or_refused(directory: Path, data: st.DataObject) -> None:
    tensors = {name: data.draw(st.one_of(st.just(array), arrays())) for name, array in ARRAYS.items()}
    if data.draw(st.integers(0, 5)) == 0:
        del tensors[data.draw(st.sampled_from(list(tensors)))]
    names = data.draw(st.one_of(st.just(NAMES), st.lists(texts, max_size=3), json_values))
    written = data.draw(st.one_of(st.just(json.dumps(names)), texts.filter(str.isascii), st.just("[" * 99_999)))
    content = save(tensors, metadata={"names": written})
    path = directory / "a.safetensors"
    path.write_bytes(data.draw(st.one_of(st.just(content), changed(content))))
    try:
        pictures = StoredPictures([path])
        for name in NAMES:
            read = pictures.read(Item(image=Path(name)))
            assert {key: tensor.shape for key, tensor in read.items()} == {
                key: tensor.shape for key, tensor in pictures.blank.items()
            }
            assert all(tensor.dtype == torch.float32 for tensor in read.values())
    except MelderError as error:
        told(error)


@PLENTY
@given(st.one_of(texts, st.sampled_from(["~nobody-at-all", "~nobody/a,b", ",", "a\0b", "\0,a"])))
def test_names_of_features_mean_files_or_are_refused(spec: str) -> None:
    try:
        StoredPictures(find_files(spec))
    except MelderError as error:
        told(error)


def features() -> Features:
    tensors: dict[str, Tensor] = {
        "text_global": torch.ones(2, 3),
        "text_tokens": torch.ones(2, 4, 5),
        "image_global": torch.ones(2, 3),
        "image_tokens": torch.ones(2, 6, 5),
        "text_mask": torch.ones(2, 4, dtype=torch.bool),
        "image_mask": torch.ones(2, dtype=torch.bool),
    }
    return Features(**tensors)  # type: ignore[arg-type]


@PLENTY
@given(st.data())
def test_features_that_melder_stored_are_read_or_refused(directory: Path, data: st.DataObject) -> None:
    whole, place = directory / "whole", directory / "spoilt"
    if not whole.is_dir():
        save_features(features(), whole, ids=IDS, fingerprint="f")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    manifest = place / "features.json"
    if data.draw(st.booleans()):
        manifest.write_bytes(data.draw(bytes_of(json.loads(manifest.read_text()))))
    for path in data.draw(st.lists(st.sampled_from(sorted(place.glob("*.npy"))), max_size=2)):
        if data.draw(st.booleans()):
            np.save(path, data.draw(arrays()))
        path.write_bytes(
            data.draw(st.one_of(changed(path.read_bytes()), st.just(b"PK\x03\x04"), st.just(b"PK\x05\x06")))
        )
    try:
        found = load_features(place, ids=IDS, fingerprint="f")
        assert len(found) == 2
        assert found.trimmed().has_text.tolist()
        assert len(found[torch.tensor([1])].without(image=torch.tensor([True]))) == 1
        sum(float(tensor.float().nan_to_num().sum()) for tensor in found.tensors().values())
    except MelderError as error:
        told(error)
