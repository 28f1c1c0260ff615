"""Negatives that depend on the model are the same again in a training that was killed and goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from melder.training.configuration import Configuration
from training.interrupted import Moment, Stopped, differing, result, run, run_in_a_process
from training.small import once, settings, small_data

pytestmark = pytest.mark.any_processor

GENERATOR = {"hidden": 8, "warm_epochs": 1}


def content(sampler: str, *, trained: bool = False, refresh: int = 2, **training: Any) -> dict[str, Any]:
    """Three epochs of three steps; refreshes fall into the middle of epochs and on checkpoints."""
    negatives = {"sampler": sampler, "candidates": 3, "refresh": refresh, "generator": GENERATOR}
    options = {"batch_size": 13, "select_on": "dev", "learning_rate": 1e-2, "checkpoint_every": 2} | training
    chosen = settings(small_data(), trained=trained, negatives=negatives, **options)
    return chosen | {"method": {"name": "pgmel", "hidden": 16}}  # whose loss is over each mention's own negatives


def undisturbed(chosen: dict[str, Any]) -> Path:
    return once(f"undisturbed {chosen}", lambda out: run(chosen, out))


CASES = {
    "hard": content("hard"),
    "hard, trained": content("hard", trained=True),
    "policy gradient": content("policy_gradient", gradient_clip=1.0),
    "policy gradient, trained": content("policy_gradient", trained=True),
}


@pytest.mark.parametrize(("name", "step"), [("hard", 7), ("policy gradient, trained", 3)])
def test_killed_and_resumed_it_ends_with_the_same_weights(name: str, step: int, tmp_path: Path) -> None:
    chosen, out = CASES[name], tmp_path / "run"
    assert run_in_a_process(chosen, out, Moment("end", step)) == -signal.SIGKILL
    run(chosen, out)
    assert differing(result(out), result(undisturbed(chosen))) == []


STOPPED = [("hard", 5), ("hard, trained", 4), ("policy gradient, trained", 7)]


@pytest.mark.parametrize(("name", "step"), [*STOPPED, *(("policy gradient", step) for step in range(9))])
def test_stopped_before_any_step_it_ends_with_the_same_weights(name: str, step: int, tmp_path: Path) -> None:
    chosen, out = CASES[name], tmp_path / "run"
    with pytest.raises(Stopped):
        run(chosen, out, Moment("start", step))
    run(chosen, out)
    assert differing(result(out), result(undisturbed(chosen))) == []


def test_the_generator_is_in_checkpoints_and_not_in_the_run() -> None:
    names = result(undisturbed(CASES["policy gradient"]))
    assert any(name.startswith("last generator.fuse.") for name in names)
    assert "last generator.baseline" in names
    assert not any(name.startswith("run generator") for name in names)


@pytest.mark.parametrize("sampler", ["hard", "policy_gradient"])
def test_another_refresh_gives_other_weights(sampler: str) -> None:
    """So that the tests above would notice if nothing were ever refreshed."""
    chosen = CASES["hard" if sampler == "hard" else "policy gradient"]
    other = content(sampler, refresh=1, gradient_clip=chosen["training"].get("gradient_clip"))
    assert differing(result(undisturbed(chosen)), result(undisturbed(other)))


def test_checkpoints_are_made_where_a_refresh_is_due() -> None:
    with pytest.raises(ValidationError, match=r"checkpoint_every \(3\) must be a multiple of negatives.refresh \(2\)"):
        Configuration(**content("hard", checkpoint_every=3))
    Configuration(**content("uniform", checkpoint_every=3))


def test_a_generator_and_worker_processes_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="set workers: 0"):
        Configuration(**content("policy_gradient", workers=1))
    Configuration(**content("hard", workers=1))


def test_hard_negatives_come_through_worker_processes(tmp_path: Path) -> None:
    run(content("hard", workers=1), tmp_path / "run")
    assert differing(result(tmp_path / "run"), result(undisturbed(CASES["hard"]))) == []
