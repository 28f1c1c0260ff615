"""Runs: opened, damaged, of another version; and `melder.load`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import melder
from melder.linking import open_run
from melder.records import Link, MelderError
from melder.runs.directory import SCHEMA, write_run


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def test_load_opens_a_run_and_the_data_to_search(small_run: Path, small_data: Path) -> None:
    bars: list[tuple[str, int]] = []
    done: list[int] = []

    def counting(title: str, total: int):  # type: ignore[no-untyped-def]
        bars.append((title, total))
        return done.append

    linker = melder.load(str(small_run), data=str(small_data), counting=counting)
    link = linker.link("A red kite was seen", mention="red kite", image=small_data / "images/0.png")
    assert isinstance(link, Link)
    assert link.candidates[0].id == "Q0"
    assert (bars, sum(done)) == ([("encoding entities", 12)], 12)


def test_load_asks_for_the_data(small_run: Path) -> None:
    with pytest.raises(MelderError, match=r"name the data set to search as well: melder\.load\(.*data=DIRECTORY\)"):
        melder.load(small_run)


@pytest.mark.parametrize("missing", ["run", "data"])
def test_load_names_what_is_not_there(missing: str, small_run: Path, small_data: Path, tmp_path: Path) -> None:
    paths = {"run": small_run, "data": small_data, missing: tmp_path / "nowhere"}
    with pytest.raises(MelderError, match="nowhere"):
        melder.load(paths["run"], data=paths["data"])


def test_a_directory_that_is_no_run_says_how_to_make_one(small_data: Path) -> None:
    with pytest.raises(MelderError, match=r"is no run .* make one with `melder train`"):
        open_run(small_data)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, None, "1"])
def test_a_run_of_another_version_names_both_versions(run: Path, schema: object) -> None:
    path = run / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
    with pytest.raises(MelderError) as error:
        open_run(run)
    message = str(error.value)
    assert message.startswith(f"{path}, field 'schema': this run has version {schema!r}")
    assert f"Melder {melder.__version__} reads version {SCHEMA}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("environment.json", b"{"),
        ("environment.json", b"[]"),
        ("environment.json", b"\xff"),
        ("config.yaml", b"data: ["),
        ("config.yaml", b"{}"),
        ("config.yaml", None),
        ("encoder/encoder.json", b"{}"),
        ("encoder/encoder.json", None),
        ("encoder/text/tokenizer/tokenizer.json", None),
        ("encoder/text/config.json", None),
        ("model.safetensors", b""),
        ("model.safetensors", b"0" * 100),
        ("model.safetensors", None),
    ],
    ids=str,
)
def test_a_damaged_run_is_an_error_that_names_it(run: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    with pytest.raises(MelderError) as error:
        open_run(run)
    assert all(str(run) in line for line in str(error.value).splitlines())


def test_truncated_weights_are_named(run: Path) -> None:
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(MelderError, match=r"model\.safetensors: cannot be loaded \(.*\); train again") as error:
        open_run(run)
    assert "\n" not in str(error.value)


def test_weights_of_another_model_are_refused(run: Path) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("hidden: 16", "hidden: 8"))
    with pytest.raises(MelderError, match=r"model\.safetensors: cannot be loaded \(.*size mismatch for matcher"):
        open_run(run)


def test_a_run_written_again_is_the_same(small_run: Path, tmp_path: Path) -> None:
    model, _ = open_run(small_run)
    write_run(tmp_path / "copy", model, yaml.safe_load((small_run / "config.yaml").read_text()))
    for path in ("config.yaml", "model.safetensors", "encoder/encoder.json", "encoder/text/tokenizer/tokenizer.json"):
        assert (tmp_path / "copy" / path).read_bytes() == (small_run / path).read_bytes()
    copied, _ = open_run(tmp_path / "copy")
    assert all(map(torch.equal, model.state_dict().values(), copied.state_dict().values()))


def test_a_run_can_be_moved(small_data: Path, small_run: Path, run: Path, tmp_path: Path) -> None:
    moved = run.rename(tmp_path / "elsewhere")
    one, other = (melder.load(each, data=small_data).link("a fox", k=3) for each in (small_run, moved))
    assert one == other


def test_importing_melder_does_not_import_torch() -> None:
    code = "import sys, melder; assert 'torch' not in sys.modules; melder.Mention(id='a')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_of_the_method_may_be_changed_when_a_run_is_opened(small_run: Path) -> None:
    unchanged, changed = open_run(small_run), open_run(small_run, ["method.assignment=transport"])
    assert unchanged[1].method.assignment == "attention"  # type: ignore[attr-defined]
    assert changed[1].method.assignment == "transport"  # type: ignore[attr-defined]
    assert changed[0].matcher.units["text"].assignment.kind == "transport"


@pytest.mark.parametrize("change", ["encoder.name=clip:compact", "method.name=mimic", "assignment=transport"])
def test_nothing_else_may_be_changed(small_run: Path, change: str) -> None:
    with pytest.raises(MelderError, match="only settings of a run's method can be changed"):
        open_run(small_run, [change])


def test_a_change_that_the_weights_do_not_fit_is_named(small_run: Path) -> None:
    with pytest.raises(MelderError, match=r"do not fit method\.hidden=5"):
        open_run(small_run, ["method.hidden=5"])


def test_links_may_come_from_a_search(small_run: Path, small_data: Path) -> None:
    exact, certified = (melder.load(small_run, data=small_data, candidates=each) for each in (None, "certified"))
    one, other = (linker.link("a red kite", mention="kite", k=3) for linker in (exact, certified))
    assert [each.id for each in one.candidates] == [each.id for each in other.candidates]
    with pytest.raises(MelderError, match="certified"):
        melder.load(small_run, data=small_data, candidates="nonsense")


def test_what_cannot_be_linked_is_said_in_one_line(small_run: Path, small_data: Path) -> None:
    linker = melder.load(small_run, small_data)
    for options, reason in (({"image": "nope.png"}, "nope.png: there is no such file"), ({"k": 0}, "k is 0; ask for")):
        with pytest.raises(MelderError, match=reason):
            linker.link("a red kite", **options)
