"""Which weights are kept, and when training ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from melder.data import load
from melder.linking import ExactLinker, open_run
from melder.metrics.metrics import metrics
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.split import split_data
from training.small import settings


def test_selecting_on_tune_holds_a_tenth_of_train_out_and_on_dev_nothing(small_data: Path) -> None:
    dataset = load(small_data)
    answered = [mention for mention in dataset.split("train") if mention.answer is not None]
    tune = split_data(Configuration(**settings(small_data, select_on="tune")), dataset)
    assert len(tune.selection) == 4
    assert sorted(mention.id for mention in tune.train + tune.selection) == sorted(mention.id for mention in answered)
    dev = split_data(Configuration(**settings(small_data, select_on="dev")), dataset)
    assert (dev.source, dev.train) == ("dev", answered)
    assert dev.selection == [mention for mention in dataset.split("dev") if mention.answer is not None]


def test_the_best_look_decides_which_weights_are_kept(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = iter([0.2, 0.6, 0.4])
    monkeypatch.setattr("melder.training.loop.fit.figures", lambda _: {"hits@1": 0.0, "mrr": next(ranks)})
    states: list[dict[str, torch.Tensor]] = []

    class Record(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            states.append({name: tensor.clone() for name, tensor in pl_module.model.matcher.state_dict().items()})

    train(Configuration(**settings(small_data, epochs=3)), tmp_path / "run", callbacks=[Record()])
    saved = load_file(tmp_path / "run" / "model.safetensors")
    equal = [all(torch.equal(state[name], saved[f"matcher.{name}"]) for name in state) for state in states]
    assert equal == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "best"),
    [
        ({"select_by": "mrr"}, 1),
        ({"select_by": "mrr", "select_ties": "later"}, 1),
        ({"select_by": "hits@1"}, 2),
        ({"select_by": "hits@1", "select_ties": "later"}, 3),
    ],
)
def test_the_figure_and_the_rule_for_ties_are_settings(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], best: int
) -> None:
    looks = iter([(0.5, 0.2), (0.4, 0.6), (0.7, 0.4), (0.7, 0.5)])
    monkeypatch.setattr(
        "melder.training.loop.fit.figures", lambda _: dict(zip(("hits@1", "mrr"), next(looks), strict=True))
    )
    states = list[torch.Tensor]()

    class Record(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            states.append(next(pl_module.model.matcher.parameters()).detach().clone())

    chosen = settings(small_data, epochs=4, patience=9, batch_size=40, **changes)
    train(Configuration(**chosen), tmp_path / "run", callbacks=[Record()])
    saved = load_file(tmp_path / "run" / "model.safetensors")
    (name,) = {name for name in saved if any(torch.equal(saved[name], state) for state in states)}
    assert [torch.equal(saved[name], state) for state in states].index(True) == best


@pytest.mark.parametrize(("steps", "looked_at"), [(3, [1, 2, 3, 3]), (4, [1, 2, 3]), (5, [2, 3, 3]), (50, [3])])
def test_looks_may_go_by_steps(small_data: Path, tmp_path: Path, steps: int, looked_at: list[int]) -> None:
    """Of three epochs of four steps: looks after steps 3, 6, 9 and so on, and at the end, once."""
    looks = list[int]()
    chosen = settings(small_data, validate_every_steps=steps, patience=9)
    train(Configuration(**chosen), tmp_path / "run", on_validation=lambda epoch, _: looks.append(epoch))
    assert looks == looked_at


@pytest.mark.parametrize(("stop", "average"), [(4, 1), (5, 2), (7, 2)])
def test_a_training_that_looks_by_steps_resumes_as_it_would_have_gone_on(
    small_data: Path, tmp_path: Path, stop: int, average: int
) -> None:
    class Stop(Exception):
        pass

    class StopAt(Callback):
        def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
            if trainer.global_step == stop:
                raise Stop

    configuration = Configuration(
        **settings(small_data, validate_every_steps=3, patience=9, select_ties="later", average=average)
    )
    train(configuration, tmp_path / "whole")
    with pytest.raises(Stop):
        train(configuration, tmp_path / "run", callbacks=[StopAt()])
    train(configuration, tmp_path / "run")
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("every", "patience", "ranks", "looked_at"),
    [
        (1, 2, [0.5, 0.4, 0.5, 0.6, 0.9], [1, 2, 3]),  # as good is no improvement
        (1, 2, [0.5, 0.4, 0.6, 0.5, 0.4, 0.9], [1, 2, 3, 4, 5]),
        (2, 1, [0.5, 0.6, 0.1, 0.9], [2, 4, 6]),  # patience counts looks, not epochs
        (2, 9, [0.1] * 9, [2, 4, 6, 7]),  # the last epoch is looked at as well
    ],
)
def test_training_ends_when_nothing_improves(
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every: int,
    patience: int,
    ranks: list[float],
    looked_at: list[int],
) -> None:
    coming, looks = iter(ranks), list[tuple[int, float]]()
    monkeypatch.setattr("melder.training.loop.fit.figures", lambda _: {"hits@1": 0.0, "mrr": next(coming)})

    def tell(epoch: int, figures: Mapping[str, float]) -> None:
        looks.append((epoch, figures["mrr"]))

    chosen = settings(small_data, epochs=7, validate_every=every, patience=patience, batch_size=40)
    train(Configuration(**chosen), tmp_path / "run", on_validation=tell)
    assert looks == list(zip(looked_at, ranks, strict=False))


def test_looks_take_a_sample_and_final_figures_are_complete(small_data: Path, tmp_path: Path) -> None:
    looks: list[Mapping[str, float]] = []
    chosen = settings(small_data, trained=True, select_on="dev", validate_mentions=2, epochs=1)
    found = train(
        Configuration(**chosen), tmp_path / "run", on_validation=lambda _, figures: looks.append(figures)
    ).metrics
    assert looks[0]["hits@1"] in (0, 0.5, 1)
    assert found["mentions"] == 13
    dataset = load(small_data)
    model, _ = open_run(tmp_path / "run")
    mentions = [mention for mention in dataset.split("dev") if mention.answer is not None]
    exact = metrics(ExactLinker(model, dataset).ranks(mentions), 12)
    assert {name: found[name] for name in exact} == exact
