"""Every architecture is loaded, equal to the library where that has vectors, trained, saved and read again."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import architectures
import pytest
import tiny_models
import torch
import transformers
from architectures import ARCHITECTURES, Architecture

from melder.encoders import Towers, build_encoder
from melder.records import Item, MelderError

JOINT = [architecture for architecture in ARCHITECTURES if architecture.reads == "joint"]


def _written(architecture: Architecture, folder: Path) -> Path:
    if not hasattr(transformers, architecture.config):
        pytest.skip(f"transformers {transformers.__version__} has no {architecture.config}")
    return architecture.write(folder)


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=[architecture.name for architecture in ARCHITECTURES])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Architecture, Path, Towers]:
    directory = _written(request.param, tmp_path_factory.mktemp("model"))
    return request.param, directory, build_encoder(request.param.spec(directory))


def test_sixteen_architectures_at_least() -> None:
    assert len({architecture.name for architecture in ARCHITECTURES}) == len(ARCHITECTURES) >= 16


def test_vectors_of_a_joint_model_are_the_librarys(
    built: tuple[Architecture, Path, Towers], pictures: dict[str, Path]
) -> None:
    architecture, directory, encoder = built
    if architecture.reads != "joint":
        return
    files = list(pictures.values())
    with torch.no_grad():
        texts = encoder(encoder.prepare([Item(text) for text in tiny_models.TEXTS])).text_global
        seen = encoder(encoder.prepare([Item("", file) for file in files])).image_global
    assert torch.allclose(texts, architectures.library_text(directory, tiny_models.TEXTS), atol=1e-5)
    assert torch.allclose(seen, architectures.library_pictures(directory, encoder, files), atol=1e-5)
    assert (texts[0] - texts[1]).abs().max() > 1e-3
    assert (seen[0] - seen[1]).abs().max() > 1e-3


def test_trained_and_saved_it_is_read_again(
    built: tuple[Architecture, Path, Towers], pictures: dict[str, Path], tmp_path: Path
) -> None:
    _, _, encoder = built
    items = [Item(text, file) for text, file in zip(tiny_models.TEXTS, pictures.values(), strict=True)]
    architectures.train_one_step(encoder, items)
    again = architectures.read_again(encoder, tmp_path)
    with torch.no_grad():
        before, after = (towers(towers.prepare(items)).tensors() for towers in (encoder, again))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.sizes == encoder.sizes


@pytest.mark.parametrize("name", [architecture.name for architecture in JOINT if architecture.name != "CLIP"])
def test_clip_names_the_form_for_what_is_no_clip(name: str, tmp_path: Path) -> None:
    directory = _written(architectures.of_name(name), tmp_path)
    with pytest.raises(MelderError, match="and clip: reads CLIP only; write joint:NAME if"):
        build_encoder(f"clip:{directory}")


def test_the_text_of_a_joint_model_is_its_own_in_a_pair_too(tmp_path: Path) -> None:
    directory = architectures.of_name("SigLIP").write(tmp_path)
    encoder = build_encoder(f"paired:{directory}+none")
    features = encoder(encoder.prepare([Item(text) for text in tiny_models.TEXTS]))
    assert torch.allclose(features.text_global, architectures.library_text(directory, tiny_models.TEXTS), atol=1e-5)


def test_padding_on_the_left_is_the_models_own(tmp_path: Path) -> None:
    directory = architectures.of_name("SigLIP").write(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(directory)
    encoder = build_encoder(f"joint:{directory}")
    features = encoder(encoder.prepare([Item(text) for text in tiny_models.TEXTS]))
    assert torch.allclose(features.text_global, architectures.library_text(directory, tiny_models.TEXTS), atol=1e-5)
    alone = encoder(encoder.prepare([Item(tiny_models.TEXTS[1])]))
    own = features.text_mask[1]
    assert torch.allclose(alone.text_tokens[0][own], features.text_tokens[1][own], atol=1e-5)
    assert own.tolist() == sorted(own.tolist(), reverse=True)


def test_a_model_without_a_joint_space_names_the_other_form(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"of the type bert, which has no features of texts and pictures .* paired:"):
        build_encoder(f"joint:{tiny_models.bert(tmp_path)}")


@pytest.mark.parametrize("name", ["Qwen2.5-VL", "Qwen3-VL", "EmbeddingGemma 2"])
def test_pictures_that_are_not_plain_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    directory = _written(architectures.of_name(name), tmp_path / "model")
    tiny_models.processor(directory, "ViTImageProcessor")
    with pytest.raises(MelderError, match="it does not read plain pictures") as caught:
        build_encoder(f"paired:{tiny_models.bert(tmp_path / 'bert')}+{directory}")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_an_image_processor_for_torchvision_alone_is_read_from_its_numbers(tmp_path: Path) -> None:
    directory = _written(architectures.of_name("DINOv3"), tmp_path / "model")
    encoder = build_encoder(f"paired:{tiny_models.bert(tmp_path / 'bert')}+{directory}")
    assert encoder.image.pixels.form.mean == (0.4, 0.5, 0.6)
    file = directory / "preprocessor_config.json"
    file.write_text(file.read_text().replace("image_mean", "mean_of_images"))
    with pytest.raises(MelderError, match="only in a form that needs torchvision; install torchvision"):
        build_encoder(f"paired:{tiny_models.bert(tmp_path / 'again')}+{directory}")
