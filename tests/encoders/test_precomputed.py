from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file

from melder.encoders import build_encoder, load_encoder
from melder.encoders.precomputed import StoredPictures, find_files, find_networks
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


def test_networks_are_joined_so_that_a_cosine_is_the_mean_of_theirs(file: Path, tmp_path: Path) -> None:
    other = another_network(tmp_path / "other.safetensors", positions=4)
    encoder = build_encoder(f"precomputed:{file}+{other}+clip:compact")
    items = [Item("", Path("apple.jpg")), Item("", Path("pear.jpg")), Item("a pear")]
    features = encoder(encoder.prepare(items))
    assert features.image_global is not None
    assert features.image_tokens is not None
    one, two = load_file(file), load_file(other)
    expected = sum(
        torch.nn.functional.cosine_similarity(*stored["image_global"].float(), dim=0) for stored in (one, two)
    )
    assert torch.allclose(features.image_global[0] @ features.image_global[1], expected / 2, atol=1e-6)
    assert torch.equal(features.image_tokens[:2], torch.cat([one["image_tokens"].float(), two["image_tokens"]], dim=2))
    assert features.image_mask.tolist() == [True, True, False]
    assert not features.image_global[2].any()


def test_joined_networks_are_read_again(file: Path, tmp_path: Path) -> None:
    other = another_network(tmp_path / "other.safetensors", positions=4)
    encoder = build_encoder(f"precomputed:{file}+{other}+clip:compact")
    encoder.save(tmp_path / "saved")
    again, item = load_encoder(tmp_path / "saved"), Item("", Path("pear.jpg"))
    assert again.sizes == encoder.sizes
    assert torch.equal(again.prepare([item])["image_global"], encoder.prepare([item])["image_global"])


def test_networks_with_other_positions_are_not_joined(file: Path, tmp_path: Path) -> None:
    other = another_network(tmp_path / "other.safetensors", positions=5)
    with pytest.raises(MelderError, match=r"other.safetensors' has 5 tokens a picture, '.*kb.safetensors' 4; join"):
        build_encoder(f"precomputed:{file}+{other}+clip:compact")


def test_a_picture_that_one_network_lacks_is_named(file: Path, tmp_path: Path) -> None:
    other = another_network(tmp_path / "other.safetensors", positions=4, names='["apple.jpg", "plum.jpg"]')
    encoder = build_encoder(f"precomputed:{file}+{other}+clip:compact")
    with pytest.raises(MelderError, match=r"no features of picture 'pear.jpg' in .*other.safetensors"):
        encoder.prepare([Item("", Path("pear.jpg"))])


@pytest.mark.parametrize("name", ["a+b", "+", "two + three"])
def test_a_plus_sign_in_a_path_that_is_there_joins_nothing(name: str, file: Path, tmp_path: Path) -> None:
    moved = tmp_path / name
    file.parent.rename(moved)
    assert find_networks(str(moved)) == [str(moved)]
    assert find_networks(f"{moved}/kb.safetensors, {moved}") == [f"{moved}/kb.safetensors, {moved}"]
    assert build_encoder(f"precomputed:{moved}+clip:compact").sizes.image_global == 10


@pytest.mark.parametrize("spec", ["a+", "+b", "a++b"])
def test_an_empty_name_between_plus_signs_is_refused(spec: str) -> None:
    with pytest.raises(MelderError, match="names nothing before or behind a"):
        find_networks(spec)


def another_network(file: Path, positions: int, names: str = '["apple.jpg", "pear.jpg"]') -> Path:
    generator = torch.Generator().manual_seed(5)
    tensors = {
        "image_global": torch.randn(2, 3, generator=generator),
        "image_tokens": torch.randn(2, positions, 2, generator=generator),
    }
    save_file(tensors, file, metadata={"names": names})
    return file
