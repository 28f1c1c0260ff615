from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from training import small

# The same examples every time: a failure elsewhere is a failure here.
settings.register_profile("melder", deadline=None, derandomize=True, max_examples=40)
# Other examples each time, and many: HYPOTHESIS_PROFILE=long, as `make fuzz` has it.
settings.register_profile("long", deadline=None, max_examples=4000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "melder"))


@pytest.fixture(scope="session")
def small_data() -> Path:
    return small.small_data()


@pytest.fixture(scope="session")
def small_run() -> Path:
    return small.small_run()
