"""Training GEMEL: the mapper alone learns, in batches of any parts; an interrupted training ends as it would have."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from generative import golden, tiny
from melder.methods.gemel import GEMELConfiguration
from melder.records import BadData
from melder.training.configuration import Configuration, TrainingConfiguration, read_configuration
from melder.training.generative.training import PreparedGenerative, prepare_generative
from melder.training.loop.checkpoints import weights
from melder.training.loop.optimizer import build_optimizer, learning_rate_factor
from melder.training.loop.train import train
from melder.training.order import BatchPlan
from melder.training.split import open_data
from training import small


def test_a_run_holds_all_that_is_its_own(small_data: Path) -> None:
    run = tiny.run()
    state = load_file(run / "model.safetensors")
    assert {name.split(".")[0] for name in state} == {"encoder", "model"}
    assert not [name for name in state if "language_model" in name]
    assert (run / "language_model" / "model.safetensors").is_file()
    assert (run / "demonstrations" / "demonstrations.safetensors").is_file()
    assert not [file for file in run.rglob("*") if file.suffix in (".bin", ".pt", ".pkl", ".pth")]


def test_checkpoints_hold_the_mapper_only() -> None:
    learned = weights(tiny.run() / "checkpoints" / "best.ckpt")
    assert set(learned) == {f"model.model.mapper.{name}" for name in ("linear.weight", "linear.bias", "absent")}


@pytest.mark.parametrize("published", [True, False])
def test_published_training_has_dropout_from_its_first_step_on(
    small_data: Path, tmp_path: Path, published: bool
) -> None:
    """Also of a training that goes on from a checkpoint, and after each look at the selection set."""
    content = tiny.settings(small_data, published=published)
    watched, resumed = _WatchModes(), _WatchModes()
    with pytest.raises(_Stop):
        train(Configuration(**content), tmp_path / "run", callbacks=[watched, _StopAt(5)])
    train(Configuration(**content), tmp_path / "run", callbacks=[resumed])
    assert watched.modes == [published] * 5
    assert resumed.modes == [published] * 8  # from the fourth step on, where the last checkpoint is


def test_it_learns() -> None:
    """On the tiny OPT of the golden tensors, whose weights are large enough to be steered."""
    model = copy.deepcopy(golden.model())
    optimizer = build_optimizer(model, TrainingConfiguration(learning_rate=1e-2))
    losses = []
    for _ in range(15):
        loss = model.loss(golden.prompts(), golden.targets()).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("at_once", [1, 3, 10])
def test_parts_of_a_batch_add_up_to_the_batch(small_data: Path, tmp_path: Path, at_once: int) -> None:
    content = tiny.settings(small_data, at_once=at_once)
    content["training"] |= {"epochs": 1}
    train(Configuration(**content), tmp_path / "run")
    whole = once_in_one_part(small_data)
    state = load_file(tmp_path / "run" / "model.safetensors")
    for name, tensor in load_file(whole / "model.safetensors").items():
        torch.testing.assert_close(state[name], tensor, atol=2e-5, rtol=1e-4)


def once_in_one_part(small_data: Path) -> Path:
    def make(out: Path) -> None:
        content = tiny.settings(small_data, at_once=64)
        content["training"] |= {"epochs": 1}
        train(Configuration(**content), out)

    return small.once("gemel-whole", make)


class _Stop(Exception):
    pass


class _WatchModes(Callback):  # type: ignore[misc]
    """Whether the language model trains with dropout, step by step."""

    def __init__(self) -> None:
        self.modes: list[bool] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
        modules = list(pl_module.model.model.language_model.modules())
        assert len({module.training for module in modules}) == 1
        self.modes.append(modules[0].training)


class _StopAt(Callback):  # type: ignore[misc]
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        if trainer.global_step == self.step:
            raise _Stop


@pytest.mark.parametrize("step", [3, 5])
def test_an_interrupted_training_ends_as_it_would_have(small_data: Path, tmp_path: Path, step: int) -> None:
    configuration, out = Configuration(**tiny.settings(small_data)), tmp_path / "run"
    with pytest.raises(_Stop):
        train(configuration, out, callbacks=[_StopAt(step)])
    assert (out / "checkpoints" / "last.ckpt").is_file()
    train(configuration, out)
    expected = load_file(tiny.run() / "model.safetensors")
    found = load_file(out / "model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_a_mention_is_not_its_own_demonstration(small_data: Path, tmp_path: Path) -> None:
    prepared = _prepared(small_data, tmp_path)
    for row, shown in enumerate(prepared.examples.shown):
        asked = prepared.split.train[row]
        assert len(shown) == 2
        assert all(
            (prepared.split.train[other].text, prepared.split.train[other].surface) != (asked.text, asked.surface)
            for other in shown
        )


def test_markers_stand_in_questions_and_demonstrations(small_data: Path, tmp_path: Path) -> None:
    prepared = _prepared(small_data, tmp_path, markers=True)
    mention, shown = prepared.split.train[0], prepared.model.demonstrations.shown[0]
    marked = f"{mention.text[: mention.start]}[START_ENT] {mention.surface} [END_ENT]{mention.text[mention.end :]}"
    assert shown.text == marked
    prompt = prepared.examples.asker([mention], [None], [[0]])[0]
    written = [prepared.model.model.language_model.text(block.tokens) for block in prompt.blocks]
    assert all(marked in text for text in written)


def test_selection_mentions_are_no_demonstrations(small_data: Path, tmp_path: Path) -> None:
    prepared = _prepared(small_data, tmp_path)
    assert len(prepared.model.demonstrations) == len(prepared.split.train)


def test_pictures_are_hidden_now_and_then(small_data: Path, tmp_path: Path) -> None:
    prepared = _prepared(small_data, tmp_path)
    prepared.examples.drop_image = 0.5
    plan = BatchPlan(len(prepared.split.train), 36, 1)
    asked = prepared.examples.batch(plan, 0, next(plan.batches(0)))
    shown = sum(prompt.blocks[-1].picture is not None for prompt in asked.prompts)
    assert 0 < shown < int(prepared.examples.pictures.there.sum())


def test_the_compact_model_is_trained_once(small_data: Path, tmp_path: Path) -> None:
    bars: list[str] = []

    def counting(title: str, total: int):  # type: ignore[no-untyped-def]
        bars.append(title)
        return lambda done: None

    configuration = Configuration(**tiny.settings(small_data))
    states = []
    for _ in range(2):
        prepared = prepare_generative(configuration, open_data(configuration), tmp_path / "features", counting)
        states.append(prepared.model.model.language_model.state_dict())
    assert bars.count("training the language model") == 1
    assert all(map(torch.equal, states[0].values(), states[1].values()))
    shutil.rmtree(tmp_path / "language_model")
    again = prepare_generative(configuration, open_data(configuration), tmp_path / "features", counting)
    assert all(map(torch.equal, states[0].values(), again.model.model.language_model.state_dict().values()))


def test_a_data_set_without_vision_is_asked_without(small_data: Path, tmp_path: Path) -> None:
    content = tiny.settings(small_data)
    content["encoder"] = {"name": "paired:clip:compact+none", "text_length": 16}
    configuration = Configuration(**content)
    prepared = prepare_generative(configuration, open_data(configuration), tmp_path / "features", _no_bar)
    assert not prepared.examples.pictures.there.any()
    assert len(prepared.rank(prepared.split.selection)) == len(prepared.split.selection)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("encoder.trained=true", "gemel trains no encoder"),
        ("training.negatives.sampler=uniform", "gemel has no negatives"),
        ("training.processes=2", "gemel trains in one process"),
        ("method.template='{text}'", "once each"),
        ("method.compact.heads=5", "multiple of twice the 5 heads"),
        ("method.beam=5", "did you mean 'beams'"),
        ("method.demonstrations.cuont=5", "did you mean 'count'"),
    ],
)
def test_settings_without_sense_are_refused(small_data: Path, tmp_path: Path, change: str, message: str) -> None:
    file = tmp_path / "gemel.yaml"
    file.write_text(yaml.safe_dump(tiny.settings(small_data)))
    with pytest.raises(BadData, match=message):
        read_configuration(file, [change])


def test_the_linear_schedule_ends_at_zero_after_its_warm_up() -> None:
    factor = learning_rate_factor(TrainingConfiguration(schedule="linear", warmup_steps=9), 110)
    assert [factor(0), factor(9)] == pytest.approx([0.1, 1.0])
    assert factor(60) == pytest.approx(1 - 51 / 101)
    assert factor(110) == pytest.approx(0.0)


def test_published_defaults() -> None:
    method = GEMELConfiguration()
    assert (method.prefix_tokens, method.demonstrations.count, method.beams, method.score) == (4, 16, 5, "mean")


def _prepared(small_data: Path, tmp_path: Path, **method: Any) -> PreparedGenerative:
    configuration = Configuration(**tiny.settings(small_data, **method))
    return prepare_generative(configuration, open_data(configuration), tmp_path / "features", _no_bar)


def _no_bar(title: str, total: int):  # type: ignore[no-untyped-def]
    return lambda done: None
