from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
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
