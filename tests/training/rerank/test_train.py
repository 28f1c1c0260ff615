"""A second look that is trained: a cross-encoder learns from what the first stage finds, and goes on when stopped."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

import melder
from linking.second_looks import by_letters, by_pairs, copied_pair_model, short
from melder.building.build import build
from melder.data import load
from melder.data.entity_file import EntityFile
from melder.linking import RerankingLinker
from melder.linking.cross_stage import CrossStage
from melder.metrics.fusion import WEIGHTS, StageScores, learn_weight
from melder.records import Entity, MelderError, Mention
from melder.runs.configuration_file import checked, override
from melder.runs.cross_encoder import Pair, open_cross_encoder, pair_texts
from melder.runs.rerank_configuration import read_rerank
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.order import BatchPlan
from melder.training.rerank.configuration import RerankTrainingConfiguration
from melder.training.rerank.module import CrossExamples
from melder.training.rerank.train import train_second_look
from training import small

pytestmark = pytest.mark.any_processor  # what is trained goes on, is stored, is opened

QUICK = ("training.batch_size=10", "training.learning_rate=0.003", "training.epochs=2", "training.checkpoint_every=2")


class Stopped(Exception):
    """Training was interrupted by a test."""


class StopAfter(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, *arguments: Any) -> None:
        if trainer.global_step == self.step:
            raise Stopped


def _settings(changes: list[str]) -> RerankTrainingConfiguration:
    own = [change.removeprefix("rerank.") for change in changes]
    return checked(RerankTrainingConfiguration, override({}, [*QUICK, *own]), "settings")


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def _state(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "rerank" / "model.safetensors")


def test_a_cross_encoder_learns_and_is_part_of_the_run(run: Path, small_data: Path, tmp_path: Path) -> None:
    before = (run / "config.yaml").read_bytes()
    longer = ["rerank.training.epochs=8", "rerank.training.learning_rate=0.01", "rerank.training.negatives=5"]
    learned = train_second_look(run, _settings([*by_pairs(), *longer, "rerank.top=12"]))
    assert learned.after >= learned.before  # on the mentions that the weight is learned on
    assert not (run / "rerank_training").exists()
    assert (run / "config.yaml").read_bytes() == before
    linker = melder.load(run, data=small_data)
    assert isinstance(linker, RerankingLinker)
    assert (linker.second.name, linker.weight) == ("cross", learned.weight)
    other = melder.load(run, data=small_data, changes=["rerank.weight=1"])
    mentions = [mention for mention in load(small_data).split("train") if mention.answer is not None]
    untrained = melder.load(
        run, data=small_data, changes=[*by_pairs(weight=1, top=12), "rerank.cross=" + str(copied_pair_model())]
    )
    ranks = [linker.ranks(mentions).realistic.mean() for linker in (other, untrained)]
    assert ranks[0] < ranks[1]  # what it was trained on it knows better than before
    assert type(melder.load(run, data=small_data, changes=["rerank.top=0"])) is type(linker.first)
    kb = tmp_path / "kb"
    build(kb, EntityFile(small_data / "entities.jsonl", small_data), run=run, counting=lambda t, n: lambda done: None)
    with melder.load(kb) as searched:
        assert set(searched.link("a red kite").candidates[0].units) == {"first_stage", "cross"}


def test_the_run_s_own_text_tower_goes_on_where_it_was_stopped(run: Path, small_data: Path, tmp_path: Path) -> None:
    """And ends with the same weights as if it had not been."""
    settings = _settings([*short(cross="own", text_length=4, entity_length=4), "rerank.training.mentions=20"])
    other = Path(shutil.copytree(run, tmp_path / "other"))
    train_second_look(other, settings)
    with pytest.raises(Stopped):
        train_second_look(run, settings, callbacks=[StopAfter(3)])
    assert read_rerank(run) is None
    with pytest.raises(MelderError, match="belongs to an interrupted training with other settings"):
        train_second_look(run, settings.model_copy(update={"top": 4}))
    train_second_look(run, settings)
    assert all(torch.equal(tensor, _state(other)[name]) for name, tensor in _state(run).items())
    assert any(
        not torch.equal(tensor, load_file(run / "model.safetensors")[name])
        for name, tensor in _state(run).items()
        if name.startswith("encoder.")
    )
    assert melder.load(run, data=small_data).link("a red kite").candidates[0].units.keys() == {"first_stage", "cross"}


def test_the_weight_of_a_language_model_is_learned_and_a_later_look_takes_its_place(run: Path) -> None:
    train_second_look(run, _settings(by_letters(shuffles=1)))
    look = read_rerank(run)
    assert look is not None
    assert look.weight in WEIGHTS
    assert [path.name for path in (run / "rerank").iterdir()] == ["rerank.yaml"]
    train_second_look(run, _settings(by_letters(shuffles=1, weight=0.25)))
    look = read_rerank(run)
    assert look is not None
    assert look.weight == 0.25


def test_train_ends_with_the_second_look_that_its_recipe_names(small_data: Path, tmp_path: Path) -> None:
    """Interrupted there, the same command goes on with that alone."""
    rerank = _settings(by_pairs()).model_dump(mode="json")
    content = small.settings(small_data, epochs=0) | {"rerank": rerank}
    configuration, out = Configuration(**content), tmp_path / "run"
    with pytest.raises(Stopped):
        train(configuration, out, callbacks=[StopAfter(3)])
    weights = (out / "model.safetensors").stat().st_mtime_ns
    assert read_rerank(out) is None
    train(configuration, out)
    assert (out / "model.safetensors").stat().st_mtime_ns == weights
    assert read_rerank(out) is not None
    with pytest.raises(MelderError, match="holds a finished run"):
        train(configuration, out)


def test_a_run_whose_recipe_leaves_the_second_look_out_is_finished(small_data: Path, tmp_path: Path) -> None:
    rerank = _settings(["rerank.top=0"]).model_dump(mode="json")
    configuration = Configuration(**small.settings(small_data, epochs=0) | {"rerank": rerank})
    train(configuration, tmp_path / "run")
    with pytest.raises(MelderError, match="holds a finished run"):
        train(configuration, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["rerank.top=0"], "rerank.top is 0, which is no second look"),
        (
            ["rerank.cross=own", "rerank.text_length=400"],
            "the run's text tower does not read 440 tokens, .* was trained with 16; lower",
        ),
    ],
)
def test_a_mistake_is_one_line(changes: list[str], message: str, run: Path) -> None:
    with pytest.raises(MelderError, match=message):
        train_second_look(run, _settings(changes))


def _scores(first: list[float], second: list[float], gold: int | None) -> StageScores:
    return StageScores(np.array(first), np.array(second), gold)


def test_the_weight_is_the_smallest_that_is_best() -> None:
    right, wrong = _scores([2, 1], [0, 3], 1), _scores([2, 1], [0, 3], 0)
    missing = _scores([2, 1], [0, 3], None)
    weight, share = learn_weight([right, right, missing])
    assert share == pytest.approx(2 / 3)
    assert weight == min(w for w in WEIGHTS if 3 * w > 1 - w)  # where the second's lead is more than the first's
    assert learn_weight([wrong]) == (0.0, 1.0)
    assert learn_weight([missing])[1] == 0.0
    assert learn_weight([_scores([1, 1], [5, 5], 0)])[1] == 0.0  # a tie is no first place
    assert learn_weight([_scores([1, 1], [-np.inf, -np.inf], 0), wrong])[0] == 0.0


@pytest.mark.parametrize("language", [None, "de", "de-at", "fr"])
def test_entities_are_read_in_the_mention_s_language_in_training_as_in_linking(
    run: Path, monkeypatch: pytest.MonkeyPatch, language: str | None
) -> None:
    kite = Entity(id="1", name="kite", description="a red kite", labels={"de": "panda"}, descriptions={"de": "a fox"})
    other = Entity(id="2", name="fox", description="grey")
    mention = Mention(id="m", text="a red kite", start=2, end=10, surface="red kite", answer="1", language=language)
    look = _settings(by_pairs()).look()
    encoder: Any = open_cross_encoder(look, run, trained=False)
    read, prepare = list[list[Pair]](), encoder.prepare

    def prepare_and_note(pairs: Sequence[Pair]) -> Any:
        read.append(list(pairs))
        return prepare(pairs)

    monkeypatch.setattr(encoder, "prepare", prepare_and_note)
    CrossStage(encoder, look).opinions([mention], [], [[kite, other]])
    examples = CrossExamples(encoder, pair_texts(encoder, look), [mention], [["2"]], {"1": kite, "2": other}, 1)
    examples.batch(BatchPlan(1, 1, seed=0), 0, np.array([0]))
    linked, trained = read
    assert trained == linked
    assert linked[0][1] == ("panda: a fox" if language in ("de", "de-at") else "kite: a red kite")
