from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all the inputs that a test tries: Hypothesis does not make another for each."""
    return tmp_path_factory.mktemp("fuzz")
