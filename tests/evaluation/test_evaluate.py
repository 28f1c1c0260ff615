"""Evaluation of a run: ranks, figures, predictions, slices, other knowledge bases."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from melder.data import load
from melder.evaluation.evaluate import Evaluation, EvaluationOptions, evaluate, evaluate_run
from melder.linking import ExactLinker, exact, open_run
from melder.metrics.metrics import FIGURES, metrics
from melder.records import BadData, MelderError
from melder.runs import model
from melder.runs.feature_cache import encode_data
from melder.runs.selection import split_mentions
from melder.training.configuration import Configuration
from melder.training.loop.train import train
from melder.training.prepare import build_model
from melder.training.split import split_data
from training.small import read_lines, settings, write_lines


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def result(small_run: Path, small_data: Path) -> Evaluation:
    return evaluate_run(small_run, small_data, "dev", counting=silent)


@pytest.fixture
def knowledge_base(small_data: Path, tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    """Writes another knowledge base, whose pictures are not there to be read."""

    def write(entities: list[dict[str, Any]]) -> Path:
        write_lines(tmp_path / "entities.jsonl", [entity | {"images": []} for entity in entities])
        return tmp_path

    return write


def test_figures_are_those_of_the_ranks(result: Evaluation, small_run: Path, small_data: Path) -> None:
    dataset = load(small_data)
    answered = [mention for mention in dataset.split("dev") if mention.answer is not None]
    ranks = ExactLinker(open_run(small_run)[0], dataset).ranks(answered)
    expected = metrics(ranks, 12)
    assert {name: result.figures[name] for name in expected} == expected
    assert {f"{name}_ci" for name in FIGURES} <= result.figures.keys()
    assert set(FIGURES) <= result.figures["name_match"].keys()


def test_figures_say_what_they_are_of(result: Evaluation, small_data: Path) -> None:
    figures = result.figures
    assert (figures["method"], figures["encoder"], figures["split"]) == ("m3el", "clip:compact", "dev")
    assert figures["data"] == figures["knowledge_base"] == small_data.name
    assert figures["seed"] == figures["configuration"]["training"]["seed"] == 43
    assert "torch" in figures["versions"]


def test_mentions_without_an_answer_are_predicted_but_not_counted(result: Evaluation) -> None:
    assert result.figures["mentions"] == 13
    predictions = {row.id: row for row in result.predictions}
    assert len(predictions) == 14
    nil = predictions["dev-3"]
    assert (nil.gold, nil.rank_optimistic, nil.rank_pessimistic) == (None, None, None)
    assert len(nil.candidates) == 12
    others = [row for row in result.predictions if row.id != "dev-3"]
    assert [row.gold for row in others] == [m.answer for m in result.mentions if m.answer is not None]
    for row in others:
        place = [candidate.id for candidate in row.candidates].index(str(row.gold)) + 1
        assert row.rank_optimistic is not None
        assert row.rank_pessimistic is not None
        assert row.rank_optimistic <= place <= row.rank_pessimistic


def test_tune_is_what_the_run_was_selected_on(small_run: Path, small_data: Path) -> None:
    """The figures that the training itself ended with, with settings of the method changed or not."""
    trained = json.loads((small_run / "metrics.json").read_text())
    tune = evaluate_run(small_run, small_data, "tune", counting=silent)
    assert {mention.id for mention in tune.mentions} < {mention.id for mention in load(small_data).split("train")}
    assert tune.figures["split"] == "tune"
    for name in ("mentions", "hits@1", "mrr"):
        assert tune.figures[name] == pytest.approx(trained[name])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"training": {"select_on": "dev", "seed": 43}}, "was selected on dev, and no part of train was held out; use"),
        ({"training": {}}, "was not selected on a part of this data; name mentions with --split, such as dev"),
        (
            {"data": {"from_entities": {"count": 3}}},
            "was not selected on a part of this data; name mentions with --split",
        ),
    ],
)
def test_a_run_that_was_selected_on_other_mentions_has_no_tune(
    changed: dict[str, Any], message: str, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    content = yaml.safe_load((small_run / "config.yaml").read_text()) | changed
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(MelderError, match=message):
        split_mentions(tmp_path, load(small_data), "tune")


def test_too_few_candidates_for_what_is_asked_are_refused(small_run: Path, small_data: Path) -> None:
    with pytest.raises(MelderError, match="a threshold needs NIL probabilities, and these 5 candidates"):
        evaluate_run(small_run, small_data, "dev", EvaluationOptions(kept=4, nil_threshold=0.5), counting=silent)
    with pytest.raises(MelderError, match="flat is measured by the best 10 candidates; keep more than 9"):
        evaluate_run(small_run, small_data, "dev", EvaluationOptions(kept=9, candidates="flat"), counting=silent)


@pytest.mark.parametrize("kept", [1, 2])
def test_few_candidates_are_found_without_scoring_all_and_ranks_stay_exact(
    kept: int, result: Evaluation, small_run: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "CERTIFIED_FROM", 1)
    monkeypatch.setattr(exact, "score_blocks", None)  # what scores all of them
    few = evaluate_run(small_run, small_data, "dev", EvaluationOptions(kept=kept), counting=silent)
    assert few.ranks.optimistic.tolist() == result.ranks.optimistic.tolist()
    assert few.ranks.pessimistic.tolist() == result.ranks.pessimistic.tolist()
    for link, whole in zip(few.links, result.links, strict=True):
        assert [each.id for each in link.candidates] == [each.id for each in whole.candidates[:kept]]


def test_stored_features_are_read_instead_of_encoding(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = Configuration(**settings(small_data))
    seed = configuration.training.seed
    train(configuration, tmp_path / "run")
    dataset = load(small_data)
    encoder = build_model(configuration, dataset, split_data(configuration, dataset).train).encoder
    for part in ("entities", "dev"):
        encode_data(configuration, seed, dataset, encoder, part, tmp_path / "features", silent)
    fresh = evaluate_run(tmp_path / "run", small_data, "dev", counting=silent)
    monkeypatch.setattr(model, "encode_chunks", lambda *_, **__: pytest.fail("is encoded"))
    stored = evaluate_run(
        tmp_path / "run", small_data, "dev", EvaluationOptions(features=tmp_path / "features"), counting=silent
    )
    assert stored.ranks.realistic.tolist() == fresh.ranks.realistic.tolist()
    for one, other in zip(stored.links, fresh.links, strict=True):
        assert one.candidates[0].score == pytest.approx(other.candidates[0].score, abs=5e-3)  # tokens in float16


def test_features_of_a_frozen_encoder_are_not_those_of_a_trained_one(small_run: Path, small_data: Path) -> None:
    with pytest.raises(MelderError, match=r"has trained its encoder.* leave them out"):
        evaluate_run(small_run, small_data, "dev", EvaluationOptions(features=small_data), counting=silent)


def test_slices_part_the_mentions(result: Evaluation) -> None:
    slices = {name: figures["mentions"] for name, figures in result.figures["slices"].items()}
    assert slices["picture"] + slices["no picture"] == 13
    assert slices["no picture"] == 2
    assert slices["surface is the name"] + slices["surface differs from the name"] == 13
    assert slices["seen in training"] + slices.get("not seen in training", 0) == 13


def test_entities_not_seen_in_training_are_a_slice(small_run: Path, small_data: Path) -> None:
    dataset = load(small_data)
    linker = ExactLinker(open_run(small_run)[0], dataset)
    slices = evaluate(linker, dataset.split("dev"), seen=["Q0", "Q1"]).figures["slices"]
    seen = sum(mention.answer in ("Q0", "Q1") for mention in dataset.split("dev"))
    assert slices["seen in training"]["mentions"] == seen
    assert slices["not seen in training"]["mentions"] == 13 - seen
    assert "seen in training" not in evaluate(linker, dataset.split("dev")).figures["slices"]


def test_more_candidates_make_it_harder(
    result: Evaluation, small_run: Path, small_data: Path, knowledge_base: Callable[..., Path]
) -> None:
    entities = read_lines(small_data / "entities.jsonl")
    more = knowledge_base(entities + [entity | {"id": f"twin of {entity['id']}"} for entity in entities])
    harder = evaluate_run(small_run, small_data, "dev", EvaluationOptions(knowledge_base=more), counting=silent)
    assert harder.figures["candidates"] == 24
    assert harder.figures["knowledge_base"] == more.name
    assert harder.figures["hits@1"] == 0  # every answer ties with its twin
    assert (harder.ranks.pessimistic > harder.ranks.optimistic).all()
    assert harder.figures["mrr"] < result.figures["mrr"]


def test_a_knowledge_base_that_lacks_an_answer_is_an_error(
    small_run: Path, small_data: Path, knowledge_base: Callable[..., Path]
) -> None:
    fewer = knowledge_base(read_lines(small_data / "entities.jsonl")[:5])
    with pytest.raises(MelderError, match=r"is not in the knowledge base .* evaluate against one that holds"):
        evaluate_run(small_run, small_data, "dev", EvaluationOptions(knowledge_base=fewer), counting=silent)


def test_nil_mentions_alone_cannot_be_evaluated(small_run: Path, small_data: Path) -> None:
    dataset = load(small_data)
    linker = ExactLinker(open_run(small_run)[0], dataset)
    nil = [mention for mention in dataset.split("dev") if mention.answer is None]
    with pytest.raises(MelderError, match="no mention has an answer"):
        evaluate(linker, nil)


def test_bad_records_are_errors_or_left_out_and_listed(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    entities = [entity | {"images": []} for entity in read_lines(small_data / "entities.jsonl")]
    mentions = [mention | {"image": None} for mention in read_lines(small_data / "dev.jsonl")]
    write_lines(tmp_path / "entities.jsonl", [*entities, entities[0]])
    write_lines(tmp_path / "dev.jsonl", [mentions[0] | {"answer": "Q99"}, *mentions[1:]])
    with pytest.raises(BadData, match="entities"):
        evaluate_run(small_run, tmp_path, "dev", counting=silent)
    result = evaluate_run(small_run, tmp_path, "dev", EvaluationOptions(skip_bad=True), counting=silent)
    assert [(Path(row.file).name, row.number) for row in result.skipped] == [("entities.jsonl", 13), ("dev.jsonl", 1)]
    assert result.figures["mentions"] == 12


def test_unreadable_pictures_are_errors_or_told(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    entities = [entity | {"images": []} for entity in read_lines(small_data / "entities.jsonl")]
    write_lines(tmp_path / "entities.jsonl", entities)
    write_lines(tmp_path / "dev.jsonl", read_lines(small_data / "dev.jsonl"))
    with pytest.raises(MelderError, match=r"dev-\d+\.png"):
        evaluate_run(small_run, tmp_path, "dev", counting=silent)
    told: set[str] = set()
    result = evaluate_run(
        small_run, tmp_path, "dev", counting=silent, on_unreadable=lambda item, error: told.add(str(error))
    )
    assert len(told) == sum(mention.image is not None for mention in result.mentions)
    assert result.figures["mentions"] == 13


def test_the_page_shows_examples_and_errors(result: Evaluation) -> None:
    page = result.page("A title", chosen=[0, 2])
    assert page.title == "A title"
    assert "14 mentions" not in page.summary
    assert "13 mentions against 12 entities" in page.summary
    assert len(page.examples) == 2
    wrong = sum(
        link.candidates[0].id != m.answer for m, link in zip(result.mentions, result.links, strict=True) if m.answer
    )
    assert len(page.errors) == min(wrong, 12)
