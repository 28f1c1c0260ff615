"""Numbers are numbers: NaN and infinity in weights, features, sides and scores are one line, and never a null score."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from melder.building import build as kb_build
from melder.building import storage
from melder.data import DataSet, EntityFile
from melder.encoders import encode_chunks
from melder.features import Features
from melder.kb import open_knowledge_base
from melder.linking import ExactLinker, open_run
from melder.ops.not_finite import not_finite
from melder.records import MelderError
from melder.runs.model import Model


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(small_run: Path, tmp_path: Path, value: float) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    weights = load_file(run / "model.safetensors")
    name = next(name for name in sorted(weights) if name.startswith("matcher.") and weights[name].dim() == 2)
    weights[name][0, 1] = value
    save_file(weights, run / "model.safetensors")
    with pytest.raises(MelderError) as error:
        open_run(run)
    assert str(error.value).startswith(f"{run / 'model.safetensors'}: tensor '{name}' holds NaN or infinity; ")


def test_weights_that_are_too_large_never_give_a_null_score(
    small_run: Path, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = open_run(small_run)
    with torch.no_grad():
        for parameter in model.matcher.parameters():
            parameter.fill_(1e30)
    with pytest.raises(MelderError, match="NaN or infin") as error:
        ExactLinker(model, dataset).link("a red kite", mention="red kite")
    assert "\n" not in str(error.value)


def test_a_score_that_is_no_number_is_told_with_its_unit(
    model: Model, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    linker, plain = ExactLinker(model, dataset), type(model.matcher).score

    def spoilt(self: object, *arguments: object, **named: object) -> object:
        scores = plain(self, *arguments, **named)  # type: ignore[arg-type]
        name = next(iter(scores.parts))
        scores.parts[name][0, 0] = float("nan")
        scores.total[0, 0] = float("nan")
        return scores

    monkeypatch.setattr(type(model.matcher), "score", spoilt)
    with pytest.raises(MelderError, match=r"scores with NaN or infinity \(unit '\w+'\)"):
        linker.link("a red kite", mention="red kite")
    with pytest.raises(MelderError, match="scores with NaN"):
        linker.ranks(dataset.split("dev")[:1])


def test_a_picture_whose_features_are_no_numbers_is_named(
    model: Model, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    linker, mentions = ExactLinker(model, dataset), dataset.split("dev")

    def spoilt(*arguments: object, **named: object) -> Iterator[Features]:
        for features in encode_chunks(*arguments, **named):  # type: ignore[arg-type]
            assert features.image_global is not None
            features.image_global[1] = float("inf")
            yield features

    monkeypatch.setattr("melder.runs.model.encode_chunks", spoilt)
    with pytest.raises(MelderError, match="its feature 'image_global' holds NaN or infinity") as error:
        linker.link(mentions[:3])
    assert str(error.value).startswith(str(dataset.mention_image(str(mentions[1].image))))


def test_sides_that_were_stored_as_no_numbers_are_refused(
    small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = EntityFile(small_data / "entities.jsonl", small_data)
    plain = storage.pack

    def spoilt(*arguments: object) -> object:
        packed = plain(*arguments)
        name = next(name for name, array in packed.arrays.items() if array.dtype == np.float16 and array.ndim > 1)
        packed.arrays[name][2] = np.nan
        return packed

    monkeypatch.setattr("melder.building.storage.pack", spoilt)
    kb_build.build(tmp_path / "kb", source, run=small_run, counting=silent)
    with open_knowledge_base(tmp_path / "kb") as base, pytest.raises(MelderError, match=r"sides\.bin: tensor '\S+'"):
        list(base.blocks())


def test_a_model_that_is_damaged_makes_no_knowledge_base(
    small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, modalities = kb_build.open_model(small_run)
    with torch.no_grad():
        next(parameter for parameter in model.matcher.parameters() if parameter.dim() == 2).fill_(float("nan"))
    monkeypatch.setattr("melder.building.segments.open_model", lambda run: (model, modalities))
    source = EntityFile(small_data / "entities.jsonl", small_data)
    with pytest.raises(MelderError, match="the model gives NaN or infinity"):
        kb_build.build(tmp_path / "kb", source, run=small_run, counting=silent)


def test_a_sum_that_overflows_is_no_fault() -> None:
    large = torch.full((4,), 3e38)
    assert not_finite({"large": large, "half": torch.full((9,), 6e4, dtype=torch.float16)}) is None
    assert not_finite({"large": large, "inf": torch.tensor([1.0, float("inf"), -float("inf")])}) == "inf"
    assert not_finite({"whole": torch.ones(2, dtype=torch.int64), "none": torch.zeros(0, 3)}) is None
