"""Evaluation from stored predictions is the evaluation that stored them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from melder.evaluation.evaluate import Evaluation, evaluate_predictions, evaluate_run
from melder.evaluation.predictions import Prediction, write_predictions
from melder.evaluation.report import write_report
from melder.records import MelderError
from training.small import read_lines, write_lines


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def result(small_run: Path, small_data: Path) -> Evaluation:
    return evaluate_run(small_run, small_data, "dev", counting=silent)


@pytest.fixture
def stored(result: Evaluation, tmp_path: Path) -> Path:
    write_predictions(tmp_path / "p.jsonl", result.predictions)
    return tmp_path / "p.jsonl"


def test_figures_and_page_are_the_same(
    result: Evaluation, stored: Path, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    again = evaluate_predictions(small_run, stored, small_data)
    assert again.figures == result.figures
    assert again.links == result.links
    write_report(tmp_path / "first.html", result.page())
    write_report(tmp_path / "again.html", again.page())
    assert (tmp_path / "first.html").read_bytes() == (tmp_path / "again.html").read_bytes()


def test_a_page_holds_units_confusions_and_every_error_with_its_groups(result: Evaluation) -> None:
    page = result.page()
    wrong = [
        (mention, link)
        for mention, link in zip(result.mentions, result.links, strict=True)
        if mention.answer is not None and link.candidates[0].id != mention.answer
    ]
    assert len(page.errors) == page.wrong == len(wrong) > 0
    assert {error.id for error in page.errors} == {mention.id for mention, _ in wrong}
    assert sum(pair.taken + pair.taken_back for pair in page.confused) == len(wrong)
    assert list(page.units) == list(result.links[0].candidates[0].units)
    for error in page.errors:
        mention = next(mention for mention, _ in wrong if mention.id == error.id)
        assert ("picture" in error.groups) == (mention.image is not None)
        row = next(row for row in result.predictions if row.id == error.id)
        assert row.rank_optimistic is not None
        assert row.rank_pessimistic is not None
        assert error.rank == (row.rank_optimistic + row.rank_pessimistic) / 2


def test_predictions_without_units_make_a_page_without_them(
    result: Evaluation, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    bare = [
        Prediction.model_validate(
            {**row.model_dump(), "candidates": [{"id": c.id, "score": c.score} for c in row.candidates]}
        )
        for row in result.predictions
    ]
    write_predictions(tmp_path / "p.jsonl", bare)
    assert not evaluate_predictions(small_run, tmp_path / "p.jsonl", small_data).page().units


def test_another_knowledge_base_must_hold_the_candidates(
    stored: Path, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    entities = [entity | {"images": []} for entity in read_lines(small_data / "entities.jsonl")]
    write_lines(tmp_path / "entities.jsonl", entities[:4])
    with pytest.raises(MelderError, match="not among the entities; name the data set of the candidates with --kb"):
        evaluate_predictions(small_run, stored, small_data, knowledge_base=tmp_path)
    more = [*entities, *(entity | {"id": f"twin of {entity['id']}"} for entity in entities)]
    write_lines(tmp_path / "entities.jsonl", more)
    found = evaluate_predictions(small_run, stored, small_data, knowledge_base=tmp_path)
    assert found.figures["candidates"] == 24
