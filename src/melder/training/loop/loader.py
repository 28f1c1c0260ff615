"""Batches in the order of the plan, from whatever step training has reached.

Where the sampler of negatives depends on the model, an epoch is a row of stretches: before each the sampler prepares
for its examples, with the model as it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from melder.protocols import Sampler
from melder.records import MelderError
from melder.training.batched import Batched
from melder.training.examples import Examples
from melder.training.order import BatchPlan

__all__ = ["PlannedLoader"]


class PlannedLoader:
    """Iterating gives the batches of the epoch that `steps_done()` lies in, from that step on.

    Lightning asks for an iterator at the start of every epoch and after a resumption; since the step says it all,
    nothing has to be stored in a checkpoint.

    Args:
        examples: Make the batches.
        plan: Which examples each step takes.
        steps_done: Of the training so far.
        workers: Processes that make batches; 0 = this one does.
        sampler: Of negatives, which may be prepared anew from time to time.
    """

    def __init__(
        self,
        examples: Examples,
        plan: BatchPlan,
        steps_done: Callable[[], int],
        workers: int = 0,
        sampler: Sampler | None = None,
    ) -> None:
        self.examples = examples
        self.plan = plan
        self.steps_done = steps_done
        self.workers = workers
        self.sampler = sampler
        self.refresh = plan.steps if sampler is None or sampler.refresh is None else sampler.refresh

    def __len__(self) -> int:
        return self.plan.steps

    def __iter__(self) -> Iterator[Batched]:
        epoch, start = divmod(self.steps_done(), self.plan.steps)
        rows = list(self.plan.batches(epoch, start))
        while rows:
            count = self._stretch(epoch * self.plan.steps + start)
            if self.sampler is not None:
                self.sampler.prepare(np.concatenate(rows[:count]))
            yield from self._batches(epoch, rows[:count])
            rows, start = rows[count:], start + count

    def _stretch(self, step: int) -> int:
        """Steps from this one on, over all epochs, until the sampler has to prepare again."""
        return self.refresh - step % self.refresh

    def _batches(self, epoch: int, rows: list[np.ndarray]) -> Iterator[Batched]:
        dataset = _Stretch(self.examples, self.plan, epoch, rows)
        pinned = torch.cuda.is_available()
        loader: DataLoader[Any] = DataLoader(dataset, batch_size=None, num_workers=self.workers, pin_memory=pinned)  # type: ignore[arg-type]
        for batch in loader:
            if isinstance(batch, _Refused):
                raise MelderError(batch.reason)
            yield batch


class _Stretch:
    """Some steps of one epoch as a data set whose elements are batches."""

    def __init__(self, examples: Examples, plan: BatchPlan, epoch: int, rows: list[np.ndarray]) -> None:
        self.examples, self.plan, self.epoch, self.rows = examples, plan, epoch, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, step: int) -> Batched | _Refused:
        """A user's mistake is handed over as such: a worker's exception would arrive wrapped in its traceback."""
        try:
            return self.examples.batch(self.plan, self.epoch, self.rows[step])
        except MelderError as error:
            return _Refused(str(error))


@dataclass
class _Refused:
    """Why a batch could not be made."""

    reason: str
