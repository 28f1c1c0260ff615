"""An encoder that cannot be read again is refused before a training, in one line."""

from __future__ import annotations

from pathlib import Path

import architectures
import pytest
import tiny_models
import torch

from melder.encoders import build_encoder, check_readable
from melder.encoders.paired import PretrainedText
from melder.encoders.resolver import TEXT_TOWERS
from melder.records import Item, MelderError
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from training.small import settings

ITEMS = [Item("Guinea won the toss"), Item("")]


@pytest.mark.parametrize("name", ["SigLIP", "MetaCLIP 2", "AltCLIP", "Chinese-CLIP"])
def test_what_can_be_read_passes_and_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    encoder = build_encoder(f"joint:{architectures.of_name(name).write(tmp_path / 'model')}").train()
    (tmp_path / "out").mkdir()
    before, drawn = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}, torch.get_rng_state()
    check_readable(encoder, ITEMS, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert encoder.training
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())


def _forgets_its_layer(directory: Path, settings: dict[str, object]) -> PretrainedText:
    return PretrainedText.load(directory, {**settings, "pooling": "cls"})


def _refuses(directory: Path, settings: dict[str, object]) -> PretrainedText:
    raise ValueError("Unrecognized model.\nShould have a model_type")


def _lacks_a_layer(directory: Path, settings: dict[str, object]) -> PretrainedText:
    return PretrainedText.load(directory, {**settings, "layers": []})


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (_refuses, r"\(Unrecognized model\)"),
        (_forgets_its_layer, r"\(read back, it makes other features: text_global\)"),
        (_lacks_a_layer, "Unexpected key|state_dict"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    load: object, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tiny_models.sentence_encoder(tmp_path / "model", modules=["Dense"])
    encoder = build_encoder(f"paired:{directory}+none")
    monkeypatch.setattr(TEXT_TOWERS, "get", lambda name: load)
    with pytest.raises(MelderError, match=rf"could not be read again from a run .*{reason}") as caught:
        check_readable(encoder, ITEMS, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("trained", [True, False])
def test_a_training_does_not_begin(
    trained: bool, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = settings(small_data, trained=trained)
    content["encoder"]["name"] = f"paired:{tiny_models.bert(tmp_path / 'bert')}+none"
    monkeypatch.setattr(TEXT_TOWERS, "get", lambda name: _refuses)
    with pytest.raises(MelderError, match="since a training with this one would be lost"):
        train(Configuration(**content), tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.yaml"}


def test_clip_compact_is_trained_unless_that_is_not_wanted() -> None:
    chosen = settings(Path("data"))
    for given, trained in ((None, True), (False, False), (True, True)):
        chosen["encoder"] = {"name": "clip:compact"} | ({} if given is None else {"trained": given})
        assert Configuration(**chosen).encoder.trained is trained
    chosen["encoder"] = {"name": "paired:some/model+none"}
    assert not Configuration(**chosen).encoder.trained
