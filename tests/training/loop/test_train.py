"""From a configuration to a run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from melder.data import load
from melder.evaluation.report import read_curves
from melder.linking import ExactLinker, open_run
from melder.records import MelderError
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.prepare import build_model
from melder.training.split import split_data
from training.small import once, settings


class Keep(Callback):
    """Keeps the model that Lightning trained."""

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.model = pl_module.model


def made(data: Path, out: Path, **training: Any) -> dict[str, Any]:
    return train(Configuration(**settings(data, **training)), out).metrics


def test_a_run_holds_all_that_linking_needs(small_run: Path, small_data: Path) -> None:
    names = {path.name for path in small_run.iterdir()}
    files = {"config.yaml", "model.safetensors", "metrics.json", "environment.json", "trained_on.json", "nil.json"}
    assert names == files | {"encoder", "logs", "checkpoints"}
    assert (small_run / "encoder/text/tokenizer/tokenizer.json").is_file()
    assert "mrr" in (small_run / "logs/metrics.csv").read_text().splitlines()[0]
    configuration = yaml.safe_load((small_run / "config.yaml").read_text())
    assert configuration["training"]["batch_size"] == 10
    assert configuration["training"]["gradient_clip"] is None  # defaults are written out
    environment = json.loads((small_run / "environment.json").read_text())
    assert {"schema", "melder", "torch", "python", "machine"} <= environment.keys()


def test_tensorboard_shows_what_is_in_the_table(small_run: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(small_run / "logs"))
    events.Reload()
    told = {name: [(each.step, each.value) for each in events.Scalars(name)] for name in events.Tags()["scalars"]}
    table = read_curves(small_run)
    assert "mrr" in table
    assert {name: [value for _, value in told[name]] for name in table} == {
        name: pytest.approx([value for _, value in points]) for name, points in table.items()
    }


def test_metrics_are_of_the_selection_set_and_stand_beside_the_name_match(small_run: Path) -> None:
    figures = json.loads((small_run / "metrics.json").read_text())
    assert figures["split"] == "tune (held out of train)"
    assert (figures["mentions"], figures["candidates"]) == (4, 12)
    assert {"hits@1", "hits@1_ci", "mrr", "mrr_ci", "mr"} <= figures["name_match"].keys()


def test_the_run_says_which_answers_it_was_trained_on(small_run: Path, small_data: Path) -> None:
    split = split_data(Configuration(**settings(small_data)), load(small_data))
    trained_on = json.loads((small_run / "trained_on.json").read_text())
    answers = Counter(str(mention.answer) for mention in split.train)
    assert trained_on == {"answers": sorted(answers), "counts": dict(answers)}


@pytest.mark.parametrize("trained", [True, False])
def test_the_saved_run_scores_as_the_model_in_memory(trained: bool, small_data: Path, tmp_path: Path) -> None:
    keep, dataset = Keep(), load(small_data)
    train(Configuration(**settings(small_data, trained=trained)), tmp_path / "run", callbacks=[keep])
    opened, _ = open_run(tmp_path / "run")
    state, saved = keep.model.state_dict(), opened.state_dict()
    assert state.keys() == saved.keys()
    assert all(torch.equal(state[name], saved[name]) for name in state)
    mentions = dataset.split("test")
    answers = [ExactLinker(model, dataset).link(mentions) for model in (keep.model, opened)]
    assert answers[0] == answers[1]


def test_training_lowers_the_loss(small_data: Path) -> None:
    out = once("lower", lambda where: made(small_data, where, epochs=12, drop_text=0, drop_image=0, patience=99))
    rows = [line.split(",") for line in (out / "logs/metrics.csv").read_text().splitlines()]
    losses = [float(row[rows[0].index("loss_total")]) for row in rows[1:] if row[rows[0].index("loss_total")]]
    assert len(losses) == 4  # every tenth step
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": {"precision": "bf16"}},
        {"method": {"published": True, "lexical": False}, "training": {"drop_text": 0.0, "drop_image": 0.0}},
        {"method": {"cross": "uni"}, "training": {"gradient_clip": 1.0}},
        {"data": {"modalities": ["text"]}},
        {"data": {"modalities": ["image"]}},
        {"training": {"workers": 1}},
    ],
    ids=str,
)
@pytest.mark.parametrize("trained", [True, False])
def test_settings_train_to_a_run_that_opens(
    change: dict[str, Any], trained: bool, small_data: Path, tmp_path: Path
) -> None:
    chosen = settings(small_data, trained=trained, epochs=1, batch_size=20)
    chosen = {name: section | change.get(name, {}) for name, section in chosen.items()}
    found = train(Configuration(**chosen), tmp_path / "run").metrics
    assert np.isfinite(found["mrr"])
    model, configuration = open_run(tmp_path / "run")
    linker = ExactLinker(model, load(small_data), modalities=configuration.data.modalities)
    assert all(np.isfinite(each.score) for each in linker.link("a red kite", k=12).candidates)


def test_an_encoder_is_in_training_mode_only_when_it_is_trained(small_data: Path) -> None:
    dataset = load(small_data)
    for trained in (True, False):
        model = build_model(Configuration(**settings(small_data, trained=trained)), dataset, dataset.split("train"))
        assert model.encoder.training == trained
        assert {parameter.requires_grad for parameter in model.encoder.parameters()} == {trained}
        assert model.matcher.training


def test_a_frozen_encoder_stays_as_it_was(small_data: Path, tmp_path: Path) -> None:
    configuration, dataset = Configuration(**settings(small_data)), load(small_data)
    before = build_model(configuration, dataset, split_data(configuration, dataset).train).encoder.state_dict()
    train(configuration, tmp_path / "run")
    after = load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.equal(tensor, after[f"encoder.{name}"]) for name, tensor in before.items())


def test_the_same_configuration_gives_the_same_run(small_data: Path, small_run: Path, tmp_path: Path) -> None:
    made(small_data, tmp_path / "again", trained=True)
    one, other = load_file(small_run / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    made(small_data, tmp_path / "other", trained=True, seed=44)
    other = load_file(tmp_path / "other" / "model.safetensors")
    assert not torch.equal(one["matcher.lexical.log_weight"], other["matcher.lexical.log_weight"])


def test_stored_features_train_as_those_encoded_on_the_way(small_data: Path, tmp_path: Path) -> None:
    made(small_data, tmp_path / "one")
    chosen = settings(small_data)
    chosen["data"]["features"] = str(tmp_path / "one" / "features")
    train(Configuration(**chosen), tmp_path / "two")
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not (tmp_path / "two" / "features").exists()
    chosen["data"]["features"] = str(tmp_path / "nowhere")
    with pytest.raises(MelderError, match="holds no features of 'entities'; run `melder features`"):
        train(Configuration(**chosen), tmp_path / "three")
