from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melder.training.loop.loader import PlannedLoader
from melder.training.order import BatchPlan, draw

plans = st.builds(
    BatchPlan, st.integers(1, 60), st.integers(1, 20).map(lambda half: 2 * half), st.integers(0, 2**31), st.just(0)
)


def rows(plan: BatchPlan, epoch: int, start: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in plan.batches(epoch, start)]


@given(plans, st.integers(0, 50))
def test_an_epoch_takes_every_mention_once(plan: BatchPlan, epoch: int) -> None:
    batches = rows(plan, epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(plan.mentions))
    assert len(batches) == plan.steps
    assert {len(batch) for batch in batches[:-1]} <= {plan.batch_size}
    assert 1 <= len(batches[-1]) <= plan.batch_size


@given(plans, st.integers(0, 50), st.data())
def test_a_later_start_gives_the_same_batches(plan: BatchPlan, epoch: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, plan.steps))
    assert rows(plan, epoch, start) == rows(plan, epoch)[start:]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {str(rows(BatchPlan(40, 8, seed), epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@given(st.integers(1, 60), st.integers(4, 20), st.integers(0, 9), st.integers(2, 4))
def test_the_shares_of_processes_put_together_are_the_batch_of_one(
    mentions: int, size: int, epoch: int, processes: int
) -> None:
    shares = [rows(BatchPlan(mentions, size, 0, rank, processes), epoch) for rank in range(processes)]
    for whole, *parts in zip(rows(BatchPlan(mentions, size, 0), epoch), *shares, strict=False):
        together = [row for part in parts for row in part]
        assert {len(part) for part in parts} == {len(whole) // processes}
        assert together == whole[: len(together)]
    left_out = BatchPlan(mentions, size, 0).steps - len(shares[0])
    assert left_out == (0 < mentions % size < processes)


@given(st.integers(0, 99), st.integers(0, 9), st.integers(0, 99))
def test_what_is_hidden_is_a_function_of_seed_epoch_and_row(seed: int, epoch: int, row: int) -> None:
    one, other = (BatchPlan(100, size, seed).hidden(epoch, row, 0.5, 0.5) for size in (8, 32))
    assert np.array_equal(one, other)


def test_texts_and_pictures_are_hidden_as_often_as_asked() -> None:
    hidden = np.stack([BatchPlan(1, 1, 0).hidden(epoch, row, 0.1, 0.6) for epoch in range(20) for row in range(200)])
    assert np.abs(hidden.mean(axis=0) - [0.1, 0.6]).max() < 0.03  # five standard errors
    assert not BatchPlan(1, 1, 0).hidden(0, 0, 0.0, 0.0).any()


def test_purposes_do_not_share_their_randomness() -> None:
    drawn = {float(draw(kind, 1, 2, 3).random()) for kind in ("order", "hide", "view", "step")}
    assert len(drawn) == 4
    assert draw("hide", 1, 2).random() == draw("hide", 1, 2).random()


class Rows:
    """Batches that are the epoch and the rows."""

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> list[int]:
        return [epoch, *rows.tolist()]


@given(st.integers(0, 14))
def test_the_loader_goes_on_at_the_step_that_training_has_reached(step: int) -> None:
    plan = BatchPlan(23, 5, seed=1)
    loader = PlannedLoader(Rows(), plan, lambda: step)  # type: ignore[arg-type]
    epoch, start = divmod(step, plan.steps)
    assert len(loader) == plan.steps == 5
    assert list(loader) == [[epoch, *batch] for batch in rows(plan, epoch, start)]
