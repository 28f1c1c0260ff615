"""How `melder train` writes the share of parameters that were trained."""

from __future__ import annotations

import pytest

from melder.cli.train import _per_cent


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100"), (0.999, "100"), (0.6234, "62"), (0.0951, "9.5"), (0.00034, "0.034"), (0.0, "0")]
)
def test_a_share_is_written_without_an_exponent(share: float, text: str) -> None:
    assert _per_cent(share) == text
