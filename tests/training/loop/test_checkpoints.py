from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from melder.records import MelderError
from melder.training.loop.checkpoints import SafetensorsIO, flatten, unflatten, weights

tensors = st.builds(
    lambda shape, kind, seed: (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(kind),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]),
    st.integers(0, 99),
)
plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    plain | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers(), st.text()), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.dictionaries(st.text(), values, max_size=4))
def test_what_is_saved_comes_back(tmp_path: Path, value: dict[str, Any]) -> None:
    SafetensorsIO().save_checkpoint(value, tmp_path / "some" / "a.ckpt")
    assert same(SafetensorsIO().load_checkpoint(tmp_path / "some" / "a.ckpt"), value)


def test_names_that_the_format_uses_itself_are_keys_like_others() -> None:
    value = {"__tensor__": "0", "__pairs__": [], "__tuple__": {"__tensor__": (1,)}}
    assert unflatten(flatten(value, {}), {}) == value


def test_tensors_that_share_memory_are_saved_each(tmp_path: Path) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    SafetensorsIO().save_checkpoint({"a": whole, "b": whole[0], "c": whole.t()}, tmp_path / "a.ckpt")
    loaded = SafetensorsIO().load_checkpoint(tmp_path / "a.ckpt")
    assert same(loaded, {"a": whole, "b": whole[0], "c": whole.t()})


def test_what_is_no_plain_data_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        SafetensorsIO().save_checkpoint({"a": {1, 2}}, tmp_path / "a.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_a_write_that_is_cut_short_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    path = tmp_path / "last.ckpt"
    SafetensorsIO().save_checkpoint({"step": 1, "w": torch.ones(3)}, path)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, dies_in, die)
        with pytest.raises(KeyboardInterrupt):
            SafetensorsIO().save_checkpoint({"step": 2, "w": torch.zeros(3)}, path)
    assert SafetensorsIO().load_checkpoint(path)["step"] == 1
    SafetensorsIO().save_checkpoint({"step": 3}, path)
    assert SafetensorsIO().load_checkpoint(path) == {"step": 3}
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_file_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), real_sync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), real_replace(a, b)))
    SafetensorsIO().save_checkpoint({"step": 1}, tmp_path / "a.ckpt")
    assert calls == ["fsync", "replace", "fsync"]  # the last one of the new name


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "foreign", "absent"])
def test_a_damaged_file_is_an_error_of_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "last.ckpt"
    SafetensorsIO().save_checkpoint({"w": torch.ones(1000), "step": 1}, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not a checkpoint at all, but a long enough text")
    elif damage == "pickle":
        torch.save({"step": 1}, path)
    elif damage == "foreign":
        from safetensors.torch import save_file

        save_file({"w": torch.ones(2)}, path)
    else:
        path.unlink()
    with pytest.raises(MelderError, match=r"last\.ckpt: is no checkpoint of Melder") as error:
        SafetensorsIO().load_checkpoint(path)
    assert "\n" not in str(error.value)


def test_weights_are_the_state_dict(tmp_path: Path) -> None:
    SafetensorsIO().save_checkpoint({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "best.ckpt")
    assert same(weights(tmp_path / "best.ckpt"), {"a": torch.ones(2)})


def test_removing_is_content_with_nothing(tmp_path: Path) -> None:
    SafetensorsIO().save_checkpoint({}, tmp_path / "a.ckpt")
    for _ in range(2):
        SafetensorsIO().remove_checkpoint(tmp_path / "a.ckpt")
    assert not list(tmp_path.iterdir())


def is_pickle_or_zip(path: Path) -> bool:
    return zipfile.is_zipfile(path) or path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x05")


def test_pickles_are_recognised_here(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "zip")
    torch.save({}, tmp_path / "pickle", _use_new_zipfile_serialization=False)
    assert is_pickle_or_zip(tmp_path / "zip")
    assert is_pickle_or_zip(tmp_path / "pickle")


def test_a_run_holds_neither_pickle_nor_zip(small_run: Path) -> None:
    files = [path for path in small_run.rglob("*") if path.is_file()]
    assert {"best.ckpt", "last.ckpt", "model.safetensors"} <= {path.name for path in files}
    assert not [path for path in files if is_pickle_or_zip(path)]
