"""Batches come from worker processes as from the training process, and so do users' mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from melder.records import MelderError
from melder.training.loop.loader import PlannedLoader
from melder.training.order import BatchPlan


@dataclass
class Numbered:
    """Examples whose batch is its rows; row `bad` cannot be read."""

    bad: int = -1

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> list[int]:
        if self.bad in rows:
            raise MelderError(f"picture {self.bad}.jpg: is cut off; replace it")
        return [int(row) for row in rows]


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_keep_their_order(workers: int) -> None:
    plan = BatchPlan(10, 4, seed=1)
    loader = PlannedLoader(Numbered(), plan, lambda: 0, workers)
    assert list(loader) == [rows.tolist() for rows in plan.batches(0)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_in_the_data_stays_one_line(workers: int) -> None:
    loader = PlannedLoader(Numbered(bad=3), BatchPlan(10, 4, seed=1), lambda: 0, workers)
    with pytest.raises(MelderError, match=r"^picture 3\.jpg: is cut off; replace it$"):
        list(loader)


class Recorder:
    """A sampler that notes what it prepares for, and when."""

    def __init__(self, refresh: int) -> None:
        self.refresh, self.events = refresh, list[tuple[str, list[int]]]()

    def prepare(self, rows: np.ndarray) -> None:
        self.events.append(("prepare", rows.tolist()))


@pytest.mark.parametrize("step", range(12))
def test_a_sampler_prepares_for_the_coming_steps_before_the_first_of_them(step: int) -> None:
    plan, recorder = BatchPlan(24, 4, seed=1), Recorder(refresh=4)  # six steps an epoch
    for batch in PlannedLoader(Numbered(), plan, lambda: step, sampler=recorder):
        recorder.events.append(("batch", list(batch)))  # type: ignore[call-overload]
    epoch, start = divmod(step, plan.steps)
    batches = [rows.tolist() for rows in plan.batches(epoch)]
    expected: list[tuple[str, list[int]]] = []
    for now in range(start, plan.steps):
        if now == start or (epoch * plan.steps + now) % 4 == 0:
            end = min(plan.steps, (((epoch * plan.steps + now) // 4) + 1) * 4 - epoch * plan.steps)
            expected.append(("prepare", [row for batch in batches[now:end] for row in batch]))
        expected.append(("batch", batches[now]))
    assert recorder.events == expected
