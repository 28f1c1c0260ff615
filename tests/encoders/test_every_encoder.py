"""What every encoder promises, whatever is behind it. An encoder without a case here fails the last test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import architectures
import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from melder.encoders import build_encoder, load_encoder
from melder.encoders.resolver import ENCODERS
from melder.encoders.towers import Towers
from melder.features import Features
from melder.protocols import Encoder, Inputs
from melder.records import Item

Make = Callable[[Path], Towers]


def _clip(folder: Path) -> Towers:
    return build_encoder(f"clip:{tiny_models.clip(folder)}")


def _published_clip(folder: Path) -> Towers:
    return build_encoder(f"clip:{tiny_models.clip(folder)}", published=True)


def _compact(folder: Path) -> Towers:
    return build_encoder("clip:compact", texts=tiny_models.TEXTS)


def _compact_64(folder: Path) -> Towers:
    return build_encoder("clip:compact-64", texts=tiny_models.TEXTS)


def _paired(folder: Path) -> Towers:
    text, vision = tiny_models.bert(folder / "bert"), tiny_models.vit(folder / "vit")
    return build_encoder(f"paired:{text}+{vision}")


def _paired_map(folder: Path) -> Towers:
    text, vision = tiny_models.t5(folder / "t5"), tiny_models.convnext(folder / "convnext")
    return build_encoder(f"paired:{text}+{vision}")


def _paired_clip(folder: Path) -> Towers:
    both = tiny_models.clip(folder / "clip")
    return build_encoder(f"paired:{both}+{both}")


def _text_only(folder: Path) -> Towers:
    return build_encoder(f"paired:{tiny_models.bert(folder / 'bert')}+none")


def _joint(folder: Path) -> Towers:
    return build_encoder(f"joint:{tiny_models.clip(folder)}")


def _joint_padded(folder: Path) -> Towers:
    return build_encoder(f"joint:{architectures.of_name('SigLIP').write(folder)}")


def _joint_patches(folder: Path) -> Towers:
    return build_encoder(f"joint:{architectures.of_name('SigLIP 2 (NaFlex)').write(folder)}", width=10)


def _sentence(folder: Path) -> Towers:
    directory = tiny_models.sentence_encoder(folder, modules=("Dense", "Normalize"))
    return build_encoder(f"paired:{directory}+none", width=6)


def _precomputed(folder: Path) -> Towers:
    file = tiny_models.stored(folder / "kb.safetensors", [f"{name}.png" for name in tiny_models.COLOURS])
    return build_encoder(f"precomputed:{file}+{tiny_models.bert(folder / 'bert')}")


def _precomputed_compact(folder: Path) -> Towers:
    tiny_models.stored(folder / "features" / "kb.safetensors", [f"{name}.png" for name in tiny_models.COLOURS])
    return build_encoder(f"precomputed:{folder / 'features'}+clip:compact", texts=tiny_models.TEXTS)


def _starter(folder: Path) -> Towers:
    return build_encoder("starter")


CASES: dict[str, list[Make]] = {
    "clip": [_clip, _published_clip],
    "clip:compact": [_compact],
    "clip:compact-64": [_compact_64],
    "joint": [_joint, _joint_padded, _joint_patches],
    "starter": [_starter],
    "paired": [_paired, _paired_map, _paired_clip, _text_only, _sentence],
    "precomputed": [_precomputed, _precomputed_compact],
}


@pytest.fixture(scope="module", params=[make for cases in CASES.values() for make in cases])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Towers:
    torch.manual_seed(0)
    return request.param(tmp_path_factory.mktemp("models"))


def _features(encoder: Towers, items: list[Item]) -> Features:
    with torch.no_grad():
        return encoder(encoder.prepare(items))


def test_it_is_an_encoder(encoder: Towers) -> None:
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, torch.nn.Module)
    assert not encoder.training


def test_inputs_have_one_row_an_item(encoder: Towers, items: list[Item]) -> None:
    assert {len(tensor) for tensor in encoder.prepare(items).values()} == {len(items)}


def test_widths_are_those_that_it_states(encoder: Towers, items: list[Item]) -> None:
    features = _features(encoder, items)
    count, length = features.text_tokens.shape[:2]
    assert features.text_global.shape == (len(items), encoder.sizes.text_global)
    assert features.text_tokens.shape == (count, length, encoder.sizes.text_tokens)
    assert features.text_mask is not None
    assert features.text_mask.shape == (count, length)
    assert features.surfaces is None
    if encoder.sizes.image_global is None:
        assert features.image_global is features.image_tokens is features.image_mask is None
        return
    assert features.image_global is not None
    assert features.image_tokens is not None
    assert features.image_global.shape == (len(items), encoder.sizes.image_global)
    assert (features.image_tokens.shape[0], features.image_tokens.shape[2]) == (count, encoder.sizes.image_tokens)


def test_masks_say_what_is_missing(encoder: Towers, items: list[Item]) -> None:
    features = _features(encoder, items)
    assert features.has_text.tolist() == [True, True, False, False, True]
    assert torch.all(features.text_global[~features.has_text] == 0)
    has_vision = encoder.sizes.image_global is not None
    assert features.has_image.tolist() == [has_vision and item.image is not None for item in items]


def _asked(encoder: Towers, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each time that the picture tower is asked from now on, the rows."""
    asked, forward = list[int](), encoder.image.forward

    def counting(inputs: Inputs) -> tuple[Tensor, Tensor]:
        asked.append(len(inputs["image_mask"]))
        return forward(inputs)

    monkeypatch.setattr(encoder.image, "forward", counting)
    return asked


def test_the_picture_tower_is_asked_only_where_something_reads_it(
    encoder: Towers, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    if encoder.image is None:
        return
    texts, asked = [items[1], items[3]], _asked(encoder, monkeypatch)
    features = _features(encoder, texts)
    published = encoder.text.tokens.fixed
    assert asked == ([2] if published else [])
    assert features.image_tokens.shape[1] == _features(encoder, items).image_tokens.shape[1]
    encoder(encoder.prepare(texts))
    assert asked[-2:] == [5, 2]  # with gradients, which every process needs of every parameter


def test_pictures_are_the_same_to_the_bit_with_missing_ones_among_them(encoder: Towers, items: list[Item]) -> None:
    if encoder.image is None:
        return
    features, inputs = _features(encoder, items), encoder.prepare(items)
    with torch.no_grad():
        vectors, tokens = encoder.image(inputs)
    seen = features.has_image
    assert torch.equal(features.image_global[seen], vectors[seen])
    assert torch.equal(features.image_tokens[seen], tokens[seen])
    if not encoder.text.tokens.fixed:
        assert not features.image_global[~seen].any()
        assert not features.image_tokens[~seen].any()


def test_text_vectors_have_length_one(encoder: Towers, items: list[Item]) -> None:
    features = _features(encoder, items)
    lengths = features.text_global.norm(dim=-1)
    assert torch.allclose(lengths, features.has_text.float(), atol=1e-5)


@pytest.mark.parametrize("rows", [(0, 4), (0, 1, 2, 3, 4), (3,), (1, 3), (2, 3)])
def test_features_are_finite_with_no_some_and_only_missing_parts(
    encoder: Towers, items: list[Item], rows: tuple[int, ...]
) -> None:
    features = _features(encoder, [items[row] for row in rows])
    assert all(torch.isfinite(tensor.float()).all() for tensor in features.tensors().values())


def test_a_row_does_not_depend_on_its_batch(encoder: Towers, items: list[Item]) -> None:
    together = _features(encoder, items)
    for row, item in enumerate(items):
        alone = _features(encoder, [item])
        assert alone.text_mask is not None
        assert together.text_mask is not None
        assert torch.allclose(alone.text_global[0], together.text_global[row], atol=1e-5)
        valid = alone.text_tokens[0][alone.text_mask[0]]
        assert torch.allclose(valid, together.text_tokens[row][together.text_mask[row]], atol=1e-5)
        for name in ("image_global", "image_tokens"):
            if (tensor := getattr(together, name)) is not None:
                assert torch.allclose(getattr(alone, name)[0], tensor[row], atol=1e-5)


def test_saved_and_loaded_it_gives_equal_features(encoder: Towers, items: list[Item], tmp_path: Path) -> None:
    encoder.save(tmp_path)
    save_file({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}, tmp_path / "w.safetensors")
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= {".json", ".txt", ".safetensors"}
    loaded = load_encoder(tmp_path)
    loaded.load_state_dict(load_file(tmp_path / "w.safetensors"))
    assert (loaded.spec, loaded.separator, loaded.sizes) == (encoder.spec, encoder.separator, encoder.sizes)
    before, after = _features(encoder, items).tensors(), _features(loaded, items).tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_gradients_reach_every_parameter(encoder: Towers, items: list[Item]) -> None:
    encoder.zero_grad()
    features = encoder(encoder.prepare(items))
    draw = torch.Generator().manual_seed(0)
    parts = [tensor for tensor in features.tensors().values() if tensor.requires_grad]
    torch.stack([(part * torch.randn(part.shape, generator=draw)).sum() for part in parts]).sum().backward()
    without = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    assert not without
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())  # type: ignore[arg-type]


def test_every_encoder_has_a_case() -> None:
    assert CASES.keys() == set(ENCODERS.names())
    assert all(CASES.values())
