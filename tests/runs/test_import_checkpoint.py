"""Official checkpoints become runs that score as the published modules do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from transformers import CLIPModel

import melder
from encoders import tiny_models
from melder.data import load
from melder.encoders import build_encoder
from melder.linking import ExactLinker, open_run
from melder.methods import from_official_state_dict
from melder.records import Item, MelderError
from melder.runs.import_checkpoint import convert
from melder.runs.model import Model
from melder.runs.official_checkpoint import read_official_state
from methods.golden import CASES, read_golden
from runs.official import lightning_checkpoint, official_state, small_clip


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CLIP that a training started from."""
    return small_clip(tmp_path_factory.mktemp("clips") / "started", seed=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CLIP as that training left it, inside its checkpoint."""
    return small_clip(tmp_path_factory.mktemp("clips") / "trained", seed=1)


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    return lightning_checkpoint(tmp_path / "m3el.ckpt", official_state("m3el_uni", trained))


@pytest.mark.parametrize("golden", CASES)
def test_a_run_scores_as_the_matcher_built_directly(
    golden: str, started: Path, trained: Path, small_data: Path, tmp_path: Path
) -> None:
    case, state = CASES[golden], official_state(golden, trained)
    checkpoint = lightning_checkpoint(tmp_path / "official.ckpt", state)
    convert(case.method, checkpoint, tmp_path / "run", clip=str(started), allow_pickle=True, **case.options)
    direct = Model(
        build_encoder(f"clip:{trained}", published=True), from_official_state_dict(case.method, state, **case.options)
    )
    dataset = load(small_data)
    found = melder.load(tmp_path / "run", data=small_data).link(dataset.split("test"))
    expected = ExactLinker(direct, dataset).link(dataset.split("test"))
    for one, other in zip(found, expected, strict=True):  # type: ignore[arg-type]
        assert [each.id for each in one.candidates] == [each.id for each in other.candidates]
        for candidate, wanted in zip(one.candidates, other.candidates, strict=True):
            assert candidate.score == pytest.approx(wanted.score, abs=1e-5)
            assert candidate.units == pytest.approx(wanted.units, abs=1e-5)


@pytest.mark.parametrize(("golden", "text_field"), [("m3el_uni", "desc"), ("m3el_bi", "desc"), ("mimic", "attr")])
def test_the_configuration_is_the_published_one(
    golden: str, text_field: str, started: Path, trained: Path, tmp_path: Path
) -> None:
    case, file = CASES[golden], tmp_path / "state.safetensors"
    save_file(official_state(golden, trained), file)
    convert(case.method, file, tmp_path / "run", clip=str(started), **case.options)
    content = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert content["data"]["text_field"] == text_field
    assert content["encoder"]["text_length"] == 40
    assert (content["method"]["name"], content["method"]["published"]) == (case.method, True)
    assert content["method"]["lexical"] is False
    model, _ = open_run(tmp_path / "run")
    assert model.encoder.separator == " [SEP] "
    assert model.encoder.prepare([Item("Guinea")])["input_ids"].shape == (1, 40)


def test_the_clip_is_inside_the_run(checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    """Once it is made, neither the checkpoint nor the CLIP it started from is needed."""
    clip = small_clip(tmp_path / "moving", seed=2)
    convert("m3el", checkpoint, tmp_path / "run", clip=str(clip), allow_pickle=True)
    clip.rename(tmp_path / "moved")
    checkpoint.unlink()
    model, _ = open_run(tmp_path / "run")
    ours, theirs = model.encoder.state_dict(), CLIPModel.from_pretrained(trained).state_dict()
    assert torch.equal(ours["image.projection.weight"], theirs["visual_projection.weight"])
    assert torch.equal(ours["text.model.final_layer_norm.bias"], theirs["text_model.final_layer_norm.bias"])


def test_a_pickle_is_read_only_when_asked_for(checkpoint: Path, started: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"m3el\.ckpt: is not safetensors; .* repeat with --allow-pickle"):
        convert("m3el", checkpoint, tmp_path / "run", clip=str(started))
    assert not (tmp_path / "run").exists()


class Harmful:
    def __init__(self, act: Any, *arguments: Any) -> None:
        self.made_by = act, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.made_by


@pytest.mark.parametrize("act", ["os.mkdir", "Path.mkdir", "exec"])
def test_code_in_a_pickle_is_not_run(act: str, tmp_path: Path) -> None:
    mark = tmp_path / "done"
    harm = {
        "os.mkdir": Harmful(os.mkdir, str(mark)),
        "Path.mkdir": Harmful(Path.mkdir, mark),
        "exec": Harmful(exec, f"import os; os.mkdir({str(mark)!r})"),
    }[act]
    file = lightning_checkpoint(tmp_path / "bad.ckpt", {"encoder.clip.a": torch.ones(1)}, callbacks=harm)
    try:
        assert list(read_official_state(file, allow_pickle=True)) == ["encoder.clip.a"]
    except MelderError as error:
        assert "cannot be read as weights only" in str(error)  # noqa: PT017
    assert not mark.exists()


def test_a_state_dict_without_lightning_around_it_will_do(tmp_path: Path) -> None:
    torch.save({"matcher.a": torch.ones(2).half(), "matcher.n": torch.ones(1, dtype=torch.long)}, tmp_path / "state.pt")
    state = read_official_state(tmp_path / "state.pt", allow_pickle=True)
    assert state["matcher.a"].dtype == torch.float32
    assert state["matcher.n"].dtype == torch.long


@pytest.mark.parametrize("content", [b"", b"\x80\x02garbage", b"PK\x03\x04 no archive", b"{}"])
def test_a_damaged_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(MelderError, match=r"bad\.ckpt: cannot be read as weights only \(.*\)") as error:
        read_official_state(tmp_path / "bad.ckpt", allow_pickle=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(1)], {"state_dict": {}}])
def test_a_file_without_weights_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "empty.ckpt")
    with pytest.raises(MelderError, match="holds no state dict"):
        read_official_state(tmp_path / "empty.ckpt", allow_pickle=True)


def test_a_checkpoint_of_another_method_is_refused(checkpoint: Path, started: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"m3el\.ckpt: the official state dict lacks matcher\.tglu\.fc_query"):
        convert("mimic", checkpoint, tmp_path / "run", clip=str(started), allow_pickle=True)


def test_a_checkpoint_without_its_clip_is_refused(started: Path, tmp_path: Path) -> None:
    save_file(read_golden("mimic").state, tmp_path / "heads.safetensors")
    with pytest.raises(MelderError, match=r"heads\.safetensors: holds no CLIP"):
        convert("mimic", tmp_path / "heads.safetensors", tmp_path / "run", clip=str(started))


def test_another_clip_than_the_checkpoints_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    directory = tmp_path / "other"
    directory.mkdir()
    tiny_models.clip(directory)
    with pytest.raises(MelderError, match=r"m3el\.ckpt: its CLIP is not '.*other' \(.*size mismatch.*\)") as error:
        convert("m3el", checkpoint, tmp_path / "run", clip=str(directory), allow_pickle=True)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("name", "variant", "line"),
    [
        ("clip", None, "'clip' has no official weights; methods that do: m3el, mimic"),
        ("m4el", None, "there is no method 'm4el'"),
        ("mimic", "cmm", "--variant cmm: mimic has no variants; leave it out"),
        ("m3el", "cmn", "--variant cmn: of m3el there are cmm and cmmb"),
    ],
)
def test_what_there_is_no_weights_for_is_refused(
    name: str, variant: str | None, line: str, checkpoint: Path, started: Path, tmp_path: Path
) -> None:
    with pytest.raises(MelderError, match=line):
        convert(name, checkpoint, tmp_path / "run", clip=str(started), variant=variant, allow_pickle=True)


def test_nothing_is_written_over(checkpoint: Path, started: Path, small_run: Path) -> None:
    before = (small_run / "config.yaml").read_bytes()
    with pytest.raises(MelderError, match="is there already; name another directory"):
        convert("m3el", checkpoint, small_run, clip=str(started), allow_pickle=True)
    assert (small_run / "config.yaml").read_bytes() == before
