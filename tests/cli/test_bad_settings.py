"""A mistake in a configuration is one line that names the key and what to do, and exit status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Melder

SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unknown key": ("training.epoch=3", ("recipe.yaml", "training.epoch", "did you mean 'epochs'?")),
    "unknown section": ("trainig.epochs=3", ("recipe.yaml", "trainig", "did you mean 'training'?")),
    "unknown key of the method": ("method.hiden=3", ("recipe.yaml", "method.hiden", "did you mean 'hidden'?")),
    "unknown key of a part of the method": (
        "method.contrastive.temprature=1",
        ("recipe.yaml", "method.contrastive.temprature", "did you mean 'temperature'?"),
    ),
    "key of nothing": ("training.epochs.many=3", ("training.epochs",)),
    "no assignment": ("training.epochs", ("'training.epochs'", "write key=value")),
    "no key": ("=3", ("'=3'", "write key=value")),
    "no YAML": ("training.epochs=[", ("training.epochs=[", "YAML")),
    "wrong type": ("training.epochs=many", ("recipe.yaml", "training.epochs", "'many'")),
    "too small": ("training.batch_size=0", ("recipe.yaml", "training.batch_size", "greater than 0")),
    "section as a value": ("training=5", ("recipe.yaml", "training")),
    "method as a value": ("method=m3el", ("recipe.yaml", "method")),
    "unknown method": ("method.name=m4el", ("recipe.yaml", "method", "there is no method 'm4el'", "m3el")),
    "method without a name": ("method={}", ("recipe.yaml", "method", "needs a name")),
    "bad value of the method": (
        "method.cross=both",
        ("recipe.yaml", "method.cross", "'uni' or 'bi'", "'both'"),
    ),
    "unknown encoder": ("encoder.name=vgg:16", ("there is no encoder 'vgg:16'", "clip:compact")),
    "encoder of no package": ("encoder.name=paired:python:no_such+none", ("no package 'no_such'", "install it")),
    "encoder of no directory": ("encoder.name=clip:/no/where", ("no model directory '/no/where'",)),
    "encoder of no files": ("encoder.name=precomputed:/no/file+clip:compact", ("no file '/no/file'",)),
    "text_field": ("data.text_field=description", ("recipe.yaml", "data.text_field", "'attr' or 'desc'")),
    "modalities": ("data.modalities=[]", ("recipe.yaml", "data.modalities", "at least one of text, image")),
    "layout": ("data.layout=csv", ("no layout 'csv'", "own, mimic")),
    "views for a frozen encoder": ("training.augment=true", ("recipe.yaml", "needs an encoder that is trained")),
    "more processes than mentions": (
        "training.processes=21",
        ("recipe.yaml", "training.processes", "every process needs a mention of each batch"),
    ),
    "no data": ("data.directory=/no/where", ("/no/where", "does not exist")),
    "data is a file": ("data.directory=recipe.yaml", ("recipe.yaml", "directory")),
    "no features": ("data.features=/no/where", ("/no/where", "run `melder features`")),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_bad_setting_is_named(
    case: str, melder: Melder, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assignment, words = SETTINGS[case]
    line = melder("train", recipe, assignment, "--out", tmp_path / "run").error
    assert [word for word in words if word not in line] == []
    assert "Value error" not in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"training: [", "is not valid YAML"),
        (b"\xff\xfe", "is not valid YAML"),
        (b"", "is no mapping"),
        (b"- data", "is no mapping"),
    ],
)
def test_a_configuration_that_is_none_is_named(
    content: bytes | None, words: str, melder: Melder, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "bad.yaml").write_bytes(content)
    line = melder("train", tmp_path / "bad.yaml", "--out", tmp_path / "run").error
    assert "bad.yaml" in line
    assert words in line
