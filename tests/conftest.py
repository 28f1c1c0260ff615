from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from training import small

# The same examples every time: a failure elsewhere is a failure here.
settings.register_profile("melder", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("melder")


@pytest.fixture(scope="session")
def small_data() -> Path:
    return small.small_data()


@pytest.fixture(scope="session")
def small_run() -> Path:
    return small.small_run()
