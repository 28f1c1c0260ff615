"""Which type tokens are multiplied in: as told, or as measured once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from melder.ops import product_dtype as module
from melder.ops.product_dtype import ProductKind, product_dtype


@pytest.fixture(autouse=True)
def nothing_measured() -> Iterator[None]:
    module._bf16_is_faster.cache_clear()
    yield
    module._bf16_is_faster.cache_clear()


def clock_of(monkeypatch: pytest.MonkeyPatch, bf16: float, float32: float) -> list[float]:
    """A clock by which the two take so long, in turns; and its readings."""
    seconds, read = [bf16, float32], list[float]()

    def perf_counter() -> float:
        if len(read) % 2:  # what began at the last reading ends now
            read.append(read[-1] + seconds[len(read) // 2 % 2])
        else:
            read.append(read[-1] if read else 0.0)
        return read[-1]

    monkeypatch.setattr("time.perf_counter", perf_counter)
    return read


@pytest.mark.parametrize(("kind", "dtype"), [("float32", None), ("bf16", torch.bfloat16)])
def test_a_type_that_is_told_is_not_measured(
    kind: ProductKind, dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = clock_of(monkeypatch, 1.0, 1.0)
    assert product_dtype(kind, 96) is dtype
    assert not read


@pytest.mark.parametrize(
    ("bf16", "float32", "dtype"),
    [(0.5, 1.0, torch.bfloat16), (0.95, 1.0, None), (1.0, 1.0, None), (2.0, 1.0, None)],
)
def test_auto_takes_what_is_clearly_faster_and_measures_once(
    bf16: float, float32: float, dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = clock_of(monkeypatch, bf16, float32)
    assert product_dtype("auto", 96) is dtype
    readings = len(read)
    assert product_dtype("auto", 96) is dtype
    assert len(read) == readings > 0
