from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from evaluation.report.test_report import EVIL, read
from melder.data.dataset import DataSet, load
from melder.evaluation.comparison import Comparison, compare
from melder.evaluation.predictions import Prediction, Scored
from melder.evaluation.report import comparison_headline, comparison_page, p_text, write_comparison
from melder.records import Entity, MelderError, Mention


def row(id: str, order: str) -> Prediction:
    """Answers "Q" + each letter of `order`; the gold entity is Qa."""
    rank = order.index("a") + 1
    return Prediction(
        id=id,
        gold="Qa",
        rank_optimistic=rank,
        rank_pessimistic=rank,
        nil_probability=None,
        candidates=tuple(Scored(id=f"Q{letter}", score=9.0 - place) for place, letter in enumerate(order)),
    )


@pytest.fixture
def comparison() -> Comparison:
    first = [row("m1", "abc"), row("m2", "bca"), row("m3", "cba"), row("m4", "bac")]
    second = [row("m1", "cab"), row("m2", "abc"), row("m3", "abc"), row("m4", "acb")]
    return compare(first, second, (EVIL, "b.jsonl"))


@pytest.fixture
def dataset(tmp_path: Path) -> DataSet:
    Image.new("RGB", (90, 60), "#ce1126").save(tmp_path / "a.png")
    entities = [Entity(id=f"Q{letter}", name=f"{letter} {EVIL}", images=("a.png",)) for letter in "abc"]
    mentions = [
        Mention(id=f"m{n}", text=f"{EVIL} won", start=0, end=len(EVIL), surface=EVIL, image="a.png", answer="Qa")
        for n in range(1, 5)
    ]
    for name, records in {"entities": entities, "dev": mentions}.items():
        lines = [record.model_dump_json() + "\n" for record in records]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return load(tmp_path)


def test_examples_are_as_many_as_asked_for_and_the_worst_first(comparison: Comparison, dataset: DataSet) -> None:
    page = comparison_page(comparison, 2, dataset)
    assert [contrast.a.id for contrast in page.only_b] == ["m2", "m3"]
    assert [contrast.a.id for contrast in page.only_a] == ["m1"]
    (contrast,) = page.only_a
    assert (contrast.a.rank, contrast.b.rank) == (1.0, 2.0)
    assert [shown.id for shown in contrast.b.candidates] == ["Qc", "Qa", "Qb"]
    assert contrast.a.picture == dataset.directory / "a.png"


def test_without_the_data_set_ids_are_shown(comparison: Comparison) -> None:
    (contrast,) = comparison_page(comparison, 2).only_a
    assert (contrast.a.surface, contrast.a.text, contrast.a.answer, contrast.a.picture) == ("m1", "", "Qa", None)
    assert [shown.name for shown in contrast.a.candidates] == ["Qa", "Qb", "Qc"]


def test_predictions_of_other_data_are_refused(comparison: Comparison, dataset: DataSet, tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(Mention(id="m1", answer="Qa").model_dump_json())
    with pytest.raises(MelderError, match="dev comes nearest and lacks 'm2', 'm3', 'm4'"):
        comparison_page(comparison, 2, load(tmp_path))


def test_the_page_shows_both_rankings_and_hostile_records_stay_text(
    comparison: Comparison, dataset: DataSet, tmp_path: Path
) -> None:
    write_comparison(tmp_path / "c.html", comparison_page(comparison, 3, dataset))
    reader = read(tmp_path / "c.html")
    assert reader.tags.count("script") == reader.tags.count("form") == 1
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert reader.tags.count("article") == 4
    assert [v for tag, name, v in reader.attributes if (tag, name) == ("article", "data-groups")] == [*"bbb", "a"]
    assert reader.inside("h3")[-2:] == ["✓ A: gold at rank 1", "✗ B: gold at rank 2"]
    assert [text for text in reader.inside("strong") if text in (EVIL, "b.jsonl")] == [EVIL, "b.jsonl"]
    assert "B is better" in reader.inside("p")[1] or "No difference shown" in reader.inside("p")[1]
    assert reader.inside("mark") == [EVIL] * 4
    assert {"0.250", "1.000", "+0.500 "} <= set(reader.inside("td"))


def test_a_comparison_in_which_nobody_wins_has_no_examples(tmp_path: Path) -> None:
    same = compare([row("m", "ab")], [row("m", "ab")], ("a", "b"))
    write_comparison(tmp_path / "c.html", comparison_page(same, 3))
    assert read(tmp_path / "c.html").inside("h2") == ["Scores", "Who is right"]


@pytest.mark.parametrize(
    ("difference", "interval", "p", "said"),
    [
        (0.018, (0.4, 3.2), 0.011, "B is better than A by 1.8 points of Hits@1 (… +0.4 to +3.2, … 0.011)."),
        (-0.018, (-3.2, -0.4), 0.0001, "A is better than B by 1.8 points of Hits@1 (… +0.4 to +3.2, … < 0.001)."),
        (0.01, (-2, 4), 0.05, "No difference shown: B is 1.0 point of Hits@1 ahead (… −2.0 to +4.0, … 0.050)."),
        (-0.01, (-4, 2), 0.4, "No difference shown: A is 1.0 point of Hits@1 ahead (… −2.0 to +4.0, … 0.400)."),
        (0.0, (-1, 1), 1.0, "No difference shown: A and B have the same Hits@1 (… −1.0 to +1.0, … 1.000)."),
    ],
)
def test_the_headline_says_who_is_better_or_that_nothing_is_shown(
    comparison: Comparison, difference: float, interval: tuple[float, float], p: float, said: str
) -> None:
    bounds = [bound / 100 for bound in interval]
    hits = comparison.figures["hits@1"] | {"difference": difference, "difference_ci": bounds, "p_holm": p}
    text = comparison_headline(replace(comparison, figures={"hits@1": hits})).text
    assert text == said.replace("(…", "(95 % interval").replace(", …", ", adjusted p")


def test_systems_are_named_by_method_and_run_where_that_is_known(comparison: Comparison, tmp_path: Path) -> None:
    facts = {"method": EVIL, "run": "runs/text", "data": "grocery", "split": "dev"}
    page = comparison_page(comparison, 3, about=(facts, {}))
    write_comparison(tmp_path / "c.html", page)
    names = read(tmp_path / "c.html").inside("strong")
    assert names[:2] == [f"{EVIL}, runs/text", "b.jsonl"]
    assert read(tmp_path / "c.html").inside("small")[0] == f"grocery, dev: {EVIL}"


def test_a_small_p_is_said_to_be_small() -> None:
    assert [p_text(p) for p in (1.0, 0.0456, 0.001, 0.0009)] == ["1.000", "0.046", "0.001", "< 0.001"]
