from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from multiprocessing.util import get_temp_dir
from pathlib import Path

import pytest
from hypothesis import settings

from melder.data import DataSet, load
from melder.linking import open_run
from melder.runs.model import Model
from perturbed import Perturbed
from postgres import postgres
from skips import pytest_sessionfinish, pytest_terminal_summary
from training import small

__all__ = ["postgres", "pytest_sessionfinish", "pytest_terminal_summary"]

# The same examples every time: a failure elsewhere is a failure here.
settings.register_profile("melder", deadline=None, derandomize=True, max_examples=40)
# Fewer of them, where the same tests run again under other instruction sets.
settings.register_profile("brief", deadline=None, derandomize=True, max_examples=10)
# Other examples each time, and many: HYPOTHESIS_PROFILE=long, as `make fuzz` has it.
settings.register_profile("long", deadline=None, max_examples=4000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "melder"))


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests and the programs they start leave (browsers, databases, clusters, worker processes) goes at the end.

    Their sockets lie in the folder too, and may have 107 characters: it is no folder of pytest's, whose names are long.
    """
    tmp_path_factory.getbasetemp()  # stays where it is, as does what this process shares with its workers, to the end
    get_temp_dir()
    with tempfile.TemporaryDirectory(prefix="melder-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)  # a database that root starts runs as nobody
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", folder)
            patch.setattr(tempfile, "tempdir", folder)
            yield


@pytest.fixture(scope="session", autouse=True)
def perturbed() -> Iterator[None]:
    """MELDER_PERTURBED=NUMBER imitates another processor: see `perturbed.py`."""
    seed = int(os.environ.get("MELDER_PERTURBED", "0"))
    with Perturbed(seed) if seed else nullcontext():
        yield


@pytest.fixture(scope="session")
def small_data() -> Path:
    return small.small_data()


@pytest.fixture(scope="session")
def small_run() -> Path:
    return small.small_run()


@pytest.fixture(scope="module")
def model(small_run: Path) -> Model:
    return open_run(small_run)[0]


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> DataSet:
    return load(small_data)


@pytest.fixture(scope="module")
def small_segments() -> Iterator[None]:
    """A dozen entities make several segments, and nobody waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("melder.building.build", "melder.kb.compaction"):
            patch.setattr(f"{module}.SEGMENT_ROWS", 5)
        patch.setattr("os.fsync", lambda descriptor: None)
        yield
