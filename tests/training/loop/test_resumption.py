"""However a training is stopped, it goes on and ends with the weights of one that was left in peace."""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from melder.records import MelderError
from melder.training.loop.checkpoints import SafetensorsIO
from training.interrupted import Moment, Stopped, differing, result, run, run_in_a_process
from training.small import once, settings, small_data

pytestmark = pytest.mark.any_processor

EPOCHS, STEPS = 3, 3  # in batches of 13, of 39 mentions
LAST = EPOCHS * STEPS
WHOLE = {"batch_size": 13, "epochs": EPOCHS, "learning_rate": 1e-2, "select_on": "dev"}


def content(*, trained: bool, **training: Any) -> dict[str, Any]:
    return settings(small_data(), trained=trained, augment=trained, schedule="cosine", **WHOLE | training)


def undisturbed(name: str, chosen: dict[str, Any]) -> Path:
    return once(f"undisturbed {name}", lambda out: run(chosen, out))


def looks(out: Path) -> list[float]:
    """Those in the log of the last part of a training."""
    return [
        float(row["mrr"]) for row in csv.DictReader((out / "logs/metrics.csv").read_text().splitlines()) if row["mrr"]
    ]


def metrics(out: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return read


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "run"
    shutil.rmtree(tmp_path / "run", ignore_errors=True)  # pytest keeps what tests leave, and this is many checkpoints


EVERYWHERE = [
    *(Moment("start", step) for step in range(LAST)),
    *(Moment("end", step) for step in range(1, LAST + 1)),
    *(Moment("looked", step) for step in range(STEPS, LAST + 1, STEPS)),
    Moment("done", LAST),
]
AT_EPOCHS_ENDS = [moment for moment in EVERYWHERE if moment.step and moment.step % STEPS == 0]


@pytest.mark.parametrize(
    ("every", "moment"), [*((2, moment) for moment in EVERYWHERE), *((3, moment) for moment in AT_EPOCHS_ENDS)], ids=str
)
def test_interrupted_anywhere_it_ends_with_the_same_weights(out: Path, every: int, moment: Moment) -> None:
    chosen = content(trained=False, checkpoint_every=every)
    with pytest.raises(Stopped):
        run(chosen, out, moment)
    run(chosen, out)
    expected = undisturbed(f"frozen {every}", chosen)
    assert differing(result(out), result(expected)) == []
    assert metrics(out) == metrics(expected)


@pytest.mark.parametrize("what", ["end", "looked", "done"])
def test_a_training_that_stopped_early_stops_early_again(out: Path, what: str) -> None:
    chosen = content(trained=False, checkpoint_every=1, patience=1, epochs=9)
    expected = once("early", lambda where: run(chosen, where, better_looks=False))
    with pytest.raises(Stopped):
        run(chosen, out, Moment(what, 2 * STEPS), better_looks=False)
    run(chosen, out, better_looks=False)
    assert differing(result(out), result(expected)) == []
    assert len(looks(out)) == 1  # the one after the resumption, which ended it


def test_a_checkpoint_with_parameters_in_another_order_is_refused(out: Path) -> None:
    chosen = content(trained=False, checkpoint_every=1)
    with pytest.raises(Stopped):
        run(chosen, out, Moment("end", 2))
    checkpoints, path = SafetensorsIO(), out / "checkpoints" / "last.ckpt"
    checkpoint = checkpoints.load_checkpoint(path)
    checkpoint["parameters"].reverse()  # as after a change of Melder's units
    checkpoints.save_checkpoint(checkpoint, path)
    with pytest.raises(MelderError, match="remove the run's checkpoints, and training starts anew"):
        run(chosen, out)
    shutil.rmtree(out / "checkpoints")
    run(chosen, out)
    assert differing(result(out), result(undisturbed("frozen 1", chosen))) == []


def random_moments(seed: int) -> list[Moment]:
    """Three moments, one after the other, at random steps."""
    draw = random.Random(seed)
    steps = sorted(draw.sample(range(1, LAST), 3))
    kinds = {0: ["start", "end", "writing"], 1: ["start", "end"]}  # every second step ends with a checkpoint
    return [Moment(draw.choice(kinds[step % 2]), step) for step in steps]


KILLED = {
    "trained": (True, random_moments(1)),
    "frozen": (False, random_moments(2)),
    "around looks": (True, [Moment("end", 3), Moment("writing", 6), Moment("looked", 6), Moment("end", 9)]),
}


@pytest.mark.parametrize("case", KILLED)
def test_killed_and_resumed_it_ends_with_the_same_weights(out: Path, case: str) -> None:
    trained, moments = KILLED[case]
    chosen = content(trained=trained, checkpoint_every=2)
    for moment in moments:
        assert run_in_a_process(chosen, out, moment) == -signal.SIGKILL
        assert not (out / "environment.json").exists()
    assert run_in_a_process(chosen, out) == 0
    expected = undisturbed(f"{'trained' if trained else 'frozen'} 2", chosen)
    assert differing(result(out), result(expected)) == []
    assert metrics(out) == metrics(expected)


def test_the_log_of_every_part_is_kept(out: Path) -> None:
    chosen = content(trained=False, checkpoint_every=2)
    for moment in (Moment("start", 4), Moment("start", 8)):
        with pytest.raises(Stopped):
            run(chosen, out, moment)
    run(chosen, out)
    logs = sorted((out / "logs").glob("metrics*.csv"))
    assert [log.name for log in logs] == ["metrics-1.csv", "metrics-2.csv", "metrics.csv"]
    assert all("mrr" in log.read_text().splitlines()[0] for log in logs)
