from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch

from melder.encoders import build_encoder, encode, fingerprint, load_features, save_features
from melder.encoders.towers import Towers
from melder.features import Features
from melder.records import Item, MelderError

IDS = ["a", "b", "c", "d", "e"]


@pytest.fixture(scope="module")
def encoder() -> Towers:
    torch.manual_seed(0)
    return build_encoder("clip:compact", texts=tiny_models.TEXTS)


@pytest.fixture(scope="module")
def features(encoder: Towers, items: list[Item]) -> Features:
    return encode(encoder, [replace(item, surfaces=(f"s{row}",)) for row, item in enumerate(items)], batch_size=2)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_order_and_values_do_not_depend_on_the_batches(encoder: Towers, items: list[Item], batch_size: int) -> None:
    with torch.no_grad():
        expected = encoder(encoder.prepare(items))
    actual = encode(encoder, items, batch_size=batch_size)
    assert torch.equal(actual.text_mask, expected.text_mask)
    assert torch.equal(actual.image_mask, expected.image_mask)
    valid = expected.text_mask
    assert torch.allclose(actual.text_tokens[valid], expected.text_tokens[valid], atol=1e-5)
    assert torch.allclose(actual.text_global, expected.text_global, atol=1e-5)
    assert torch.allclose(actual.image_tokens, expected.image_tokens, atol=1e-5)


def test_an_encoder_meets_few_shapes_however_many_items_come_at_once(
    encoder: Towers, monkeypatch: pytest.MonkeyPatch
) -> None:
    met, forward = set[torch.Size](), encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda inputs: met.add(inputs["input_ids"].shape) or forward(inputs))
    for count in range(1, 33):
        assert len(encode(encoder, [Item("apple " * count + " " * row) for row in range(count)])) == count
    assert {shape[0] for shape in met} == {1, 2, 3, 4, 6, 8, 12, 16, 24, 32}
    assert {shape[1] for shape in met} == {8, 16, 24, 32, 40}


def test_a_longer_text_with_fewer_characters_has_room(encoder: Towers) -> None:
    items = [Item("apple apple apple"), Item("日本日本日本")]  # more characters, fewer tokens; the reverse
    lengths = encode(encoder, items, batch_size=1).text_mask.sum(dim=1).tolist()
    assert lengths == [encode(encoder, [item]).text_mask.sum().item() for item in items]
    assert lengths[0] < lengths[1]


def test_surfaces_come_along_and_progress_is_told(encoder: Towers, items: list[Item], features: Features) -> None:
    told: list[int] = []
    encode(encoder, items, batch_size=2, progress=told.append)
    assert told == [2, 2, 1]
    assert features.surfaces == [(f"s{row}",) for row in range(5)]


def test_the_encoder_is_left_in_the_mode_it_was_in(encoder: Towers, items: list[Item]) -> None:
    encoder.train()
    encode(encoder, items)
    assert encoder.training
    encoder.eval()


def test_bf16_is_near_and_comes_back_in_float32(encoder: Towers, items: list[Item], features: Features) -> None:
    rough = encode(encoder, items, precision="bf16")
    assert rough.text_global.dtype == rough.image_tokens.dtype == torch.float32
    assert torch.allclose(rough.text_global, features.text_global, atol=0.05)
    assert not torch.equal(rough.text_global, features.text_global)


def test_features_come_back_from_disk(features: Features, tmp_path: Path) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    loaded = load_features(tmp_path, ids=IDS, fingerprint="f", surfaces=features.surfaces)
    assert torch.equal(loaded.text_global, features.text_global)
    assert torch.equal(loaded.text_mask, features.text_mask)
    assert torch.equal(loaded.image_mask, features.image_mask)
    assert loaded.text_tokens.dtype == loaded.image_tokens.dtype == torch.float16
    assert torch.allclose(loaded.image_tokens.float(), features.image_tokens, rtol=1e-3, atol=1e-4)
    assert loaded.surfaces == features.surfaces


def test_changes_to_loaded_features_do_not_reach_the_disk(features: Features, tmp_path: Path) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    load_features(tmp_path, ids=IDS, fingerprint="f").text_global.zero_()
    assert load_features(tmp_path, ids=IDS, fingerprint="f").text_global.any()


def test_features_without_vision_have_none(features: Features, tmp_path: Path) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    blind = replace(features, image_global=None, image_tokens=None, image_mask=None)
    save_features(blind, tmp_path, ids=IDS, fingerprint="f")
    assert load_features(tmp_path, ids=IDS, fingerprint="f").image_global is None


def test_writing_again_leaves_readers_their_own(features: Features, tmp_path: Path) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    before = load_features(tmp_path, ids=IDS, fingerprint="f")
    save_features(replace(features, text_global=-features.text_global), tmp_path, ids=IDS, fingerprint="f")
    assert torch.equal(before.text_global, features.text_global)


def test_huge_activations_stay_finite(features: Features, tmp_path: Path) -> None:
    save_features(replace(features, text_tokens=features.text_tokens * 1e6), tmp_path, ids=IDS, fingerprint="f")
    assert load_features(tmp_path, ids=IDS, fingerprint="f").text_tokens.isfinite().all()


@pytest.mark.parametrize(
    ("ids", "mark", "reason"),
    [
        (IDS[:4], "f", "other records, or of the same in another order .5 there, 4 here."),
        (IDS[::-1], "f", "other records, or of the same in another order"),
        (IDS, "g", "the texts, the pictures or the encoder have changed"),
    ],
)
def test_features_of_something_else_are_refused(
    features: Features, tmp_path: Path, ids: list[str], mark: str, reason: str
) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    with pytest.raises(MelderError, match=f"{reason}.*run `melder features` again"):
        load_features(tmp_path, ids=ids, fingerprint=mark)


@pytest.mark.parametrize("name", ["features.json", "text_tokens.npy"])
@pytest.mark.parametrize("left", [None, 0, 100])
def test_a_damaged_directory_is_refused(features: Features, tmp_path: Path, name: str, left: int | None) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink() if left is None else (tmp_path / name).write_bytes(content[:left])
    with pytest.raises(MelderError, match="missing or cut short"):
        load_features(tmp_path, ids=IDS, fingerprint="f")


@pytest.mark.parametrize("name", ["fingerprint", "arrays", "ids"])
def test_a_manifest_that_lacks_something_is_refused(features: Features, tmp_path: Path, name: str) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    file = tmp_path / "features.json"
    file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != name}))
    with pytest.raises(MelderError, match=f"lacks '{name}'; run `melder features` again"):
        load_features(tmp_path, ids=IDS, fingerprint="f")


def test_arrays_are_read_without_pickle(features: Features, tmp_path: Path) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    np.save(tmp_path / "text_global.npy", np.array([{}] * 5, dtype=object), allow_pickle=True)
    with pytest.raises(MelderError, match="run `melder features` again"):
        load_features(tmp_path, ids=IDS, fingerprint="f")


def test_the_manifest_is_written_last(features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_features(features, tmp_path, ids=IDS, fingerprint="f")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("melder.encoders.store.write_array", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_features(features, tmp_path, ids=IDS, fingerprint="f")
    with pytest.raises(MelderError, match=r"features.json is missing"):
        load_features(tmp_path, ids=IDS, fingerprint="f")


def test_a_fingerprint_tells_texts_pictures_order_and_encoders_apart() -> None:
    items = [Item("a", Path("x/1.jpg")), Item("b")]
    others = [
        ([Item("a!", Path("x/1.jpg")), Item("b")], "clip:compact"),
        ([Item("a", Path("x/2.jpg")), Item("b")], "clip:compact"),
        ([Item("a", b"1"), Item("b")], "clip:compact"),
        ([Item("a"), Item("b")], "clip:compact"),
        (items[::-1], "clip:compact"),
        (items[:1], "clip:compact"),
        (items, "clip:other"),
    ]
    marks = {fingerprint(items, "clip:compact"), *(fingerprint(*other) for other in others)}
    assert len(marks) == 1 + len(others)
    assert fingerprint([Item("a", Path("y/1.jpg")), Item("b")], "clip:compact") in marks


@pytest.fixture
def several(items: list[Item]) -> list[Item]:
    """The same items; the first has two more pictures, the last one, and one that only the third has is again."""
    pictures = [item.image for item in items if item.image is not None]
    return [
        replace(items[0], further=(pictures[1], pictures[2])),
        *items[1:4],
        replace(items[4], further=(pictures[0],)),
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_further_pictures_are_encoded_as_any_others(
    encoder: Towers, items: list[Item], several: list[Item], batch_size: int
) -> None:
    found, single = encode(encoder, several, batch_size=batch_size), encode(encoder, items, batch_size=batch_size)
    assert all(torch.equal(tensor, single.tensors()[name]) for name, tensor in found.tensors().items())
    assert single.further is None
    assert found.further is not None
    assert found.further.counts.tolist() == [2, 0, 0, 0, 1]
    expected = encode(encoder, [Item(image=picture) for item in several for picture in item.further])
    assert torch.allclose(found.further.image_global, expected.image_global, atol=1e-5)
    assert torch.allclose(found.further.image_tokens, expected.image_tokens, atol=1e-5)


def test_a_further_picture_that_cannot_be_read_is_told_of(
    encoder: Towers, items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    item, told = replace(items[0], further=(tmp_path / "bad.png", items[2].image)), list[Item]()
    with pytest.raises(MelderError, match=r"bad\.png"):
        encode(encoder, [item])
    monkeypatch.setattr(encoder, "on_unreadable", lambda item, error: told.append(item))
    further = encode(encoder, [item]).further
    assert further is not None
    assert further.image_mask.tolist() == [False, True]
    assert [item.image for item in told] == [tmp_path / "bad.png"]


def test_further_pictures_come_back_from_disk(encoder: Towers, several: list[Item], tmp_path: Path) -> None:
    features = encode(encoder, several)
    save_features(features, tmp_path, ids=IDS, fingerprint="f")
    loaded = load_features(tmp_path, ids=IDS, fingerprint="f").further
    assert loaded is not None
    assert features.further is not None
    assert torch.equal(loaded.counts, features.further.counts)
    assert torch.equal(loaded.image_global, features.further.image_global)
    assert loaded.image_tokens.dtype == torch.float16
    assert torch.allclose(loaded.image_tokens.float(), features.further.image_tokens, rtol=1e-3, atol=1e-4)
    np.save(tmp_path / "further_counts.npy", np.array([2, 0, 0, 0, 2]))
    with pytest.raises(MelderError, match=r"further_image_global\.npy has 3 rows, not 4"):
        load_features(tmp_path, ids=IDS, fingerprint="f")


def test_a_fingerprint_knows_further_pictures(items: list[Item], several: list[Item]) -> None:
    marks = {fingerprint(given, "e") for given in (items, several, [replace(several[0], further=()), *several[1:]])}
    assert len(marks) == 3
