"""Every command that writes, where files may not grow and where there is no room: one line, and it goes on later."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from accidents.operations import NO_ROOM, in_a_child
from melder.cli import main
from melder.training.loop.run_lock import run_lock
from runs.official import lightning_checkpoint, official_state, small_clip
from training.small import settings

TITLES = '<http://a/kite> <http://www.w3.org/2004/02/skos/core#prefLabel> "Red kite"@en .\n' * 200


@dataclass
class Written:
    """A command, where it works, and what is there when it is done; `sizes`: in bytes, that files may not grow over."""

    arguments: Callable[[Path, Path], Sequence[object]]  # of the sample and of a fresh directory
    outcome: str
    sizes: tuple[int, ...] = (0, 200)


def evaluation(sample: Path, here: Path) -> list[object]:
    written = ("--json", here / "figures.json", "--predictions", here / "dev.jsonl", "--report", here / "dev.html")
    return ["evaluate", sample / "run", "--data", sample / "data", *written]


def link(name: str) -> Callable[[Path, Path], list[object]]:
    return lambda sample, here: [
        "link",
        sample / "kb",
        "--input",
        sample / "data/test.jsonl",
        "--output",
        here / name,
    ]


def index(sample: Path, here: Path) -> list[object]:
    if not (here / "kb").exists():
        shutil.copytree(sample / "kb", here / "kb")
    return ["kb", "index", here / "kb", "--kind", "hnsw"]


def training(sample: Path, here: Path) -> list[object]:
    (here / "recipe.yaml").write_text(yaml.safe_dump(settings(sample / "data", trained=True, epochs=1)))
    return ["train", here / "recipe.yaml", "--out", here / "run"]


def features(sample: Path, here: Path) -> list[object]:
    return ["features", sample / "run/config.yaml", f"data.directory={sample / 'data'}", "--out", here / "features"]


def conversion(sample: Path, here: Path) -> list[object]:
    if not (sample / "mimic.ckpt").exists():
        state = official_state("mimic", small_clip(sample / "clip", seed=0))
        lightning_checkpoint(sample / "mimic.ckpt", state)
    made_from = ("--clip", sample / "clip", "--allow-pickle")
    return ["convert", "mimic", sample / "mimic.ckpt", *made_from, "--out", here / "run"]


def report(sample: Path, here: Path) -> list[object]:
    of = ("--predictions", sample / "predictions.jsonl", "--data", sample / "data")
    return ["report", sample / "run", *of, "--out", here / "page.html"]


def imported(sample: Path, here: Path) -> list[object]:
    (here / "titles.nt").write_text(TITLES)
    return ["kb", "import", "skos", here / "titles.nt", "--out", here / "entities.jsonl"]


def converted_data(sample: Path, here: Path) -> list[object]:
    return ["data", "convert", sample / "data", here / "data"]


def calibration(sample: Path, here: Path) -> list[object]:
    if not (here / "run").exists():
        shutil.copytree(sample / "run", here / "run")
    return ["calibrate", here / "run", "--data", sample / "data"]


WRITERS = {
    "train": Written(training, "run/environment.json", (0, 900, 60_000)),
    "features": Written(features, "features/entities/features.json", (0, 900)),
    "convert": Written(conversion, "run/environment.json", (0, 900, 60_000)),
    "report": Written(report, "page.html"),
    "evaluate": Written(evaluation, "figures.json"),
    "link": Written(link("links.jsonl"), "links.jsonl"),
    "link to a table": Written(link("links.csv"), "links.csv"),
    "kb index": Written(index, "kb/CURRENT", (0, 900)),
    "kb import": Written(imported, "entities.jsonl", (0, 30)),
    "data convert": Written(converted_data, "data/entities.jsonl"),
    "calibrate": Written(calibration, "run/nil.json"),
}


pytestmark = pytest.mark.usefixtures("_fast")


def _run(arguments: Sequence[object], size: int | None = None, **how: Any) -> tuple[int, list[str]]:
    """A command as the console script has it, in a child: its status, and its lines on standard error, which are a
    pipe's, so that they are said although files may not grow over `size` bytes."""
    ours, theirs = os.pipe()
    told = os.fdopen(theirs, "w")

    def work() -> None:
        sys.stderr, sys.argv = told, ["melder", *map(str, arguments)]
        if size is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        status = 0
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stderr.flush()
        os._exit(status)

    ended = in_a_child(work, **how)
    told.close()
    with os.fdopen(ours) as pipe:
        lines = pipe.read().splitlines()
    assert "Traceback" not in "\n".join(lines), "\n".join(lines)
    return ended.status, lines


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_without_room_is_one_line_and_the_command_goes_on_when_there_is_some(
    name: str, sample: Path, tmp_path: Path
) -> None:
    writer = WRITERS[name]
    arguments = writer.arguments(sample, tmp_path)
    existing = tmp_path / writer.outcome
    before = existing.read_bytes() if existing.exists() else None
    for size in writer.sizes:
        status, lines = _run(arguments, size)
        assert status == 2, (size, lines)
        assert lines[-1].startswith("melder: ")
        assert "make room" in lines[-1]
        assert (existing.read_bytes() if existing.exists() else None) == before, "nothing is lost"
        assert name == "link" or not list(tmp_path.rglob("*.part"))
    status, lines = _run(arguments)
    assert status == 0, lines
    assert existing.exists()


def test_figures_that_were_there_stay_where_new_ones_find_no_room(sample: Path, tmp_path: Path) -> None:
    arguments = evaluation(sample, tmp_path)
    for name in ("figures.json", "dev.jsonl", "dev.html"):
        (tmp_path / name).write_text("what was there")
    assert _run(arguments, 10)[0] == 2
    assert {path.read_text() for path in tmp_path.iterdir()} == {"what was there"}
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["train", "features", "report", "kb import"])
def test_where_nothing_can_be_written_it_is_one_line_too(name: str, sample: Path, tmp_path: Path) -> None:
    """From the first operation on, simulated."""
    status, lines = _run(WRITERS[name].arguments(sample, tmp_path), action=NO_ROOM, at=1, onwards=True)
    assert (status, len(lines)) == (2, 1)
    assert "No space left on device" in lines[0]


def test_of_two_trainings_into_one_directory_the_second_is_refused(sample: Path, tmp_path: Path) -> None:
    arguments = training(sample, tmp_path)
    assert _run(arguments, 60_000)[0] == 2
    configuration = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    with run_lock(tmp_path / "run", configuration):
        status, lines = _run(arguments)
        assert status == 2
        assert "run: another process trains into this directory; wait for it" in lines[-1]
    assert _run(arguments)[0] == 0
    assert not (tmp_path / "run/training.lock").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_stopped_by_sigterm_it_says_so_in_one_line(name: str, sample: Path, tmp_path: Path) -> None:
    def stop(moment: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    status, lines = _run(WRITERS[name].arguments(sample, tmp_path), action=stop, at=2)
    assert status == 143, lines
    assert lines[-1].startswith("stopped by SIGTERM")
