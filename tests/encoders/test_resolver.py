from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import tiny_models

from melder.encoders import build_encoder, load_encoder
from melder.encoders.sources import find_source
from melder.records import MelderError


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cilp:compact", "there is no encoder 'cilp:compact'; did you mean 'clip'? there are starter, clip, clip:comp"),
        ("cilp:compact", "(clip:<name or directory>, clip:compact, clip:compact-64, joint:<name or directory>, pai"),
        ("", "there is no encoder ''; there are starter, clip"),
        ("clip", "encoder 'clip' names no model: write clip:<name or directory>"),
        ("clip:", "encoder 'clip' names no model: write clip:<name or directory>"),
        ("clip:/no/such/directory", "no model directory '/no/such/directory': a model is a directory"),
        ("paired:python:no_such_package_here+none", "no package 'no_such_package_here' is installed here"),
        ("paired:python:no_such.package+none", "no package 'no_such.package' is installed here"),
        ("paired:python:../etc+none", "no package '../etc' is installed here"),
        ("paired:python:json+none", "package 'json' holds no model"),
        ("paired:some/text", "names one part where two are needed: write paired:<text>"),
        ("precomputed:some/files", "names one part where two are needed: write precomputed:<files>"),
        ("paired:none+none", "an encoder needs a text model"),
    ],
)
def test_a_wrong_specification_says_what_is_right(spec: str, message: str) -> None:
    with pytest.raises(MelderError) as caught:
        build_encoder(spec)
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["./modls/clip", "../modls", "~/modls/clip", "modls/clip/deep"])
def test_what_looks_like_a_path_is_never_downloaded(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MelderError, match=f"^no model directory '{path}': .*; only a hub name is downloaded$"):
        build_encoder(f"clip:{path}")


def test_a_hub_name_that_is_not_to_be_had_may_be_a_slip_in_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        MelderError, match=r"cannot read model 'modls/clip' \(there is no such directory, and"
    ) as caught:
        build_encoder("clip:modls/clip")
    assert "\n" not in str(caught.value)


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"holds no config.json"):
        build_encoder(f"clip:{tmp_path}")


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(MelderError, match="cannot read model") as caught:
        build_encoder(f"clip:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_directories_and_packages_are_local_and_hub_names_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_models.bert(tmp_path / "some" / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("melder.encoders.sources.reaches_hub", lambda: True)
    assert find_source("some/model").local
    assert not find_source("some/other-model").local


def test_offline_by_its_own_setting_not_even_the_hub_s_address_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = list[object]()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("socket.getaddrinfo", lambda *address: looked_up.append(address))
    assert find_source("nowhere/at-all").local
    assert looked_up == []


def test_without_a_network_a_hub_name_is_looked_for_on_this_machine_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*address: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    asked = list[object]()
    monkeypatch.setattr("socket.getaddrinfo", unknown)
    monkeypatch.setattr("melder.io.hub.getproxies", dict)
    monkeypatch.setattr("time.sleep", asked.append)  # huggingface_hub waits before it tries again
    with pytest.raises(MelderError, match=r"cannot read model 'nowhere' \(there is no such directory, and of the hub"):
        build_encoder("clip:nowhere")
    assert asked == []
    monkeypatch.setattr("melder.io.hub.getproxies", lambda: {"https": "http://proxy:3128"})
    assert not find_source("nowhere").local


def test_a_package_may_hold_its_model_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "packaged_words"
    (package / "model" / "1_Pooling").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('a package of data is not imported')")
    (package / "model" / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    (package / "config.json").write_text('{"not": "a model"}')
    (package / "model" / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Path(find_source("python:packaged_words").name) == package / "model"


def test_a_directory_without_an_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MelderError, match=r"encoder.json: no encoder can be read"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"text": {"kind": "unheard-of"}}, {"image": {"kind": "clip"}}, {"text": None}]
)
def test_an_encoder_of_another_version_is_named(change: dict[str, object], tmp_path: Path) -> None:
    build_encoder("clip:compact").save(tmp_path)
    file = tmp_path / "encoder.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(MelderError) as caught:
        load_encoder(tmp_path)
    assert "\n" not in str(caught.value)
