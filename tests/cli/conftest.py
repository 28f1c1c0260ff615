from __future__ import annotations

from pathlib import Path

import pytest

from training import small


@pytest.fixture(scope="session")
def small_data() -> Path:
    return small.small_data()


@pytest.fixture(scope="session")
def small_run() -> Path:
    return small.small_run()
