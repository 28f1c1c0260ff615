"""A training without labels against what there was before: the better of the two is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from melder.building.build import build
from melder.data import EntityFile
from melder.linking.load import load
from melder.records import Entity
from melder.runs.rerank_configuration import RerankConfiguration, write_rerank
from melder.training import keep_better as keeping
from melder.training.configuration import Configuration
from melder.training.keep_better import BEFORE, TRAINED, awaits_comparison, exact_names, is_better, keep_better
from melder.training.loop.train import train
from training.small import settings
from training.test_from_entities import silent

pytestmark = pytest.mark.any_processor  # which of two is kept


@pytest.fixture(scope="module")
def kb(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base of a model that has learned well."""
    directory = tmp_path_factory.mktemp("kept") / "kb"
    build(directory, EntityFile(small_data / "entities.jsonl"), run=small_run, counting=silent)
    return directory


@pytest.fixture(scope="module")
def configuration(kb: Path) -> Configuration:
    """Of a training that learns nothing."""
    content = settings(kb, trained=True, epochs=0)
    content["data"]["from_entities"] = 3
    return Configuration(**content)


@pytest.fixture(scope="module")
def unlearned(configuration: Configuration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("kept") / "run"
    train(configuration, directory)
    return directory


@pytest.fixture
def run(unlearned: Path, tmp_path: Path) -> Path:
    """A finished training that may be changed."""
    return Path(shutil.copytree(unlearned, tmp_path / "run"))


def test_what_was_better_before_is_kept_and_linked_with(kb: Path, run: Path, configuration: Configuration) -> None:
    trained = load_file(run / "model.safetensors")
    write_rerank(run, RerankConfiguration(cross="own", top=0))  # of the trained model; what was before has none
    result = keep_better(run, configuration, kb, silent)
    assert result.kept == BEFORE
    assert (run / TRAINED / "rerank").is_dir()
    assert not (run / "rerank").exists()
    assert result.names[BEFORE]["hits@1"] > result.names[TRAINED]["hits@1"]
    assert (run / "model.safetensors").read_bytes() == (kb / "model" / "model.safetensors").read_bytes()
    assert load_file(run / TRAINED / "model.safetensors").keys() == trained.keys()
    assert not (run / BEFORE).exists()
    record = json.loads((run / "kept.json").read_text())
    assert (record["kept"], record["made"][TRAINED]["mentions"]) == (BEFORE, result.made[TRAINED]["mentions"])
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["mrr"] == result.made[BEFORE]["mrr"]
    assert "mrr" in figures["name_match"]
    links = [load(directory, data=data).link("a fox", k=3) for directory, data in ((kb, None), (run, kb))]
    assert links[0] == links[1]


def test_one_that_was_stopped_comes_to_the_same(
    kb: Path, run: Path, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert awaits_comparison(run)

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(keeping, "write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        keep_better(run, configuration, kb, silent)
    monkeypatch.undo()
    assert (run / TRAINED).is_dir()
    assert awaits_comparison(run)
    assert keep_better(run, configuration, kb, silent).kept == BEFORE
    assert not awaits_comparison(run)
    assert (run / "model.safetensors").read_bytes() == (kb / "model" / "model.safetensors").read_bytes()


def test_of_a_data_set_an_encoder_that_knows_nothing_is_no_comparison(
    run: Path, configuration: Configuration, small_data: Path
) -> None:
    weights = (run / "model.safetensors").read_bytes()
    result = keep_better(run, configuration, small_data, silent)
    assert (result.kept, result.made) == (TRAINED, {})
    assert "clip:compact knows nothing before it is trained" in result.reason
    assert (run / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("made", "names", "better"),
    [
        ((0.5, 0.6), (1.0, 1.0), True),
        ((0.5, 0.6), (1.0, 0.992), True),  # within chance
        ((0.5, 0.9), (0.99, 0.84), False),  # what a tower from scratch did to German names
        ((0.6, 0.6), (1.0, 1.0), False),
        ((0.7, 0.6), (0.2, 1.0), False),
    ],
)
def test_both_kinds_of_mentions_count(made: tuple[float, float], names: tuple[float, float], better: bool) -> None:
    of_made = {model: {"mrr": value} for model, value in zip((BEFORE, TRAINED), made, strict=True)}
    of_names = {model: {"hits@1": value} for model, value in zip((BEFORE, TRAINED), names, strict=True)}
    assert is_better(of_made, of_names) == better
    no_names = {BEFORE: {}, TRAINED: {}}  # where no name is one entity's alone
    assert is_better(of_made, no_names) == (made[1] > made[0])


def test_exact_names_are_those_of_one_entity() -> None:
    entities = [
        Entity(id="a", name="Gala", aliases=("Königsgala", "gala ", "GALA")),
        Entity(id="b", name="Fuji", aliases=("Königsapfel", " ")),
        Entity(id="c", name="fuji"),
    ]
    mentions = exact_names(entities)
    assert [(mention.text, mention.surface, mention.answer) for mention in mentions] == [
        (name, name, "a") for name in ("Gala", "Königsgala", "gala ", "GALA")
    ] + [("Königsapfel", "Königsapfel", "b")]
    many = exact_names([Entity(id=str(number), name=f"Name {number}") for number in range(1234)])
    assert len(many) == len({mention.answer for mention in many}) == keeping.NAMES
