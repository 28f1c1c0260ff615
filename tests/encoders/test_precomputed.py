from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file

from melder.encoders import build_encoder, load_encoder
from melder.encoders.precomputed import StoredPictures, find_files
from melder.records import Item, MelderError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny_models.stored(tmp_path / "features" / "kb.safetensors", ["apple.jpg", "pear.jpg"])


def test_features_are_found_by_name_and_left_as_they_are(file: Path) -> None:
    encoder = build_encoder(f"precomputed:{file}+clip:compact")
    features = encoder(encoder.prepare([Item("", Path("some/folder/pear.jpg")), Item("a pear")]))
    expected = load_file(file)
    assert torch.equal(features.image_global[0], expected["image_global"][1].float())
    assert torch.equal(features.image_tokens[0], expected["image_tokens"][1].float())
    assert features.image_mask.tolist() == [True, False]
    assert not features.image_global[1].any()


def test_several_files_are_one(file: Path) -> None:
    other = tiny_models.stored(file.with_name("train.safetensors"), ["plum.jpg"], seed=1)
    expected = load_file(other)["image_global"][0].float()
    for spec in (str(file.parent), f"{file}, {other}"):
        row = StoredPictures(find_files(spec)).read(Item("", Path("plum.jpg")))
        assert torch.equal(row["image_global"], expected)


def test_a_picture_that_is_not_held_is_named(file: Path) -> None:
    encoder = build_encoder(f"precomputed:{file}+clip:compact")
    with pytest.raises(MelderError, match=r"no features of picture 'plum.jpg' in .*kb.safetensors; add them there"):
        encoder.prepare([Item("a plum", Path("plum.jpg"))])


def test_bytes_have_no_stored_features(file: Path) -> None:
    with pytest.raises(MelderError, match="cannot encode a picture given as bytes; give the name"):
        StoredPictures([file]).read(Item("", b"\x89PNG"))


def test_a_name_in_two_files_is_refused(file: Path) -> None:
    other = tiny_models.stored(file.with_name("train.safetensors"), ["pear.jpg"], seed=1)
    with pytest.raises(MelderError, match=r"'pear.jpg' is in .*names must be unique"):
        StoredPictures([file, other])


def test_features_of_two_networks_are_refused(file: Path) -> None:
    other = file.with_name("other.safetensors")
    tensors = {"image_global": torch.zeros(1, 3), "image_tokens": torch.zeros(1, 4, 6)}
    save_file(tensors, other, metadata={"names": '["plum.jpg"]'})
    with pytest.raises(MelderError, match="use files that one network wrote"):
        StoredPictures([file, other])


@pytest.mark.parametrize(
    ("names", "tensor"),
    [(None, "image_global"), (["a.jpg"], "image_global"), (["a.jpg", "b.jpg"], "vectors")],
)
def test_a_file_of_another_layout_is_refused(names: list[str] | None, tensor: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.safetensors"
    tensors = {tensor: torch.zeros(2, 3), "image_tokens": torch.zeros(2, 4, 6)}
    save_file(tensors, file, metadata=None if names is None else {"names": json.dumps(names)})
    with pytest.raises(MelderError, match=r"wrong.safetensors' is not image_global \[n, g\]"):
        StoredPictures([file])


def test_files_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"no file '.*absent.safetensors'"):
        build_encoder(f"precomputed:{tmp_path / 'absent.safetensors'}+clip:compact")
    with pytest.raises(MelderError, match=r"holds no .safetensors file"):
        build_encoder(f"precomputed:{tmp_path}+clip:compact")


def test_a_saved_encoder_finds_its_files_from_anywhere(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    build_encoder("precomputed:kb.safetensors+clip:compact").save(tmp_path / "run")
    monkeypatch.chdir("/")
    assert load_encoder(tmp_path / "run").sizes.image_global == 10
    file.unlink()
    with pytest.raises(MelderError, match=r"no file '.*kb.safetensors'; bring it back"):
        load_encoder(tmp_path / "run")
