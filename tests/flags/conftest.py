from __future__ import annotations

from pathlib import Path

import pytest

from melder.data.flags import write_flags


@pytest.fixture(scope="session")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of flags: 170 mentions to train on (one a nation), 40 each for dev and test."""
    directory = tmp_path_factory.mktemp("flags")
    write_flags(directory, seed=3, train=170, held_out=40, by_name=0)
    return directory
