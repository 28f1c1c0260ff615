"""The data set without its leaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.cases import CASES
from audit.made import Made, made
from melder.data import DataSet, load
from melder.data.audit import CHECKS, LeftOut, audit, gather, write_clean
from melder.records import MelderError


def ids(dataset: DataSet, split: str) -> list[str]:
    return [mention.id for mention in dataset.split(split)]


def cleaned(data: Made, directory: Path, *, skip_bad: bool = False) -> tuple[DataSet, list[LeftOut]]:
    source, out = directory / "source", directory / "out"
    source.mkdir()
    left_out = write_clean(data.audited(source, skip_bad=skip_bad), out)
    lines = (out / "left-out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [LeftOut.model_validate(json.loads(line)) for line in lines] == left_out
    return load(out), left_out


@pytest.mark.parametrize("name", CASES)
def test_it_has_no_leak(name: str, tmp_path: Path) -> None:
    data = made()
    CASES[name].plant(data)
    dataset, _ = cleaned(data, tmp_path, skip_bad=CASES[name].skip_bad)
    leaks = [f for findings in audit(gather(dataset)).values() for f in findings if f.severity == "leak"]
    assert leaks
    assert not [finding.kind for finding in leaks if finding.found]


def test_a_data_set_without_leaks_stays_as_it_is(tmp_path: Path) -> None:
    data = made()
    dataset, left_out = cleaned(data, tmp_path)
    assert left_out == []
    assert [entity.model_dump(mode="json") | {"aliases": [], "types": []} for entity in dataset.entities] == [
        {"aliases": [], "types": [], **entity} for entity in data.entities
    ]
    for split, mentions in data.splits.items():
        assert [mention.model_dump() for mention in dataset.split(split)] == mentions
    assert all(dataset.mention_image(m.image or "").is_file() for m in dataset.split("train"))


def test_what_train_shares_is_left_out_of_train(tmp_path: Path) -> None:
    data = made()
    CASES["shared pictures"].plant(data)
    dataset, left_out = cleaned(data, tmp_path)
    assert {(each.part, each.id) for each in left_out} == {("train", f"train{place}") for place in range(4)}
    assert ids(dataset, "train") == [f"blank{number}" for number in range(0, 10, 2)]
    for split in ("dev", "test"):
        assert ids(dataset, split) == [mention["id"] for mention in data.splits[split]]


def test_what_dev_and_test_share_is_left_out_of_dev(tmp_path: Path) -> None:
    data = made()
    data.mention("test", 0)["image"] = data.mention("dev", 0)["image"]
    dataset, left_out = cleaned(data, tmp_path)
    assert [(each.part, each.id) for each in left_out] == [("dev", "dev4")]
    assert ids(dataset, "dev") == ["dev5"]
    assert ids(dataset, "test") == ["test6", "test7"]


def test_an_entity_loses_the_picture_of_a_mention_and_no_row_is_lost(tmp_path: Path) -> None:
    data = made()
    CASES["own pictures"].plant(data)
    dataset, left_out = cleaned(data, tmp_path)
    lost = {(each.part, each.id, each.picture) for each in left_out}
    assert lost == {
        ("entities", f"Q{n}70", name) for n, name in [(0, "m0.png"), *((n, f"e{n}.png") for n in (1, 4, 5))]
    }
    assert {entity.id: entity.images for entity in dataset.entities}["Q070"] == ("e0.png",)
    assert [len(dataset.split(split)) for split in ("train", "dev", "test")] == [4, 2, 2]


def test_an_id_that_tells_the_answer_is_replaced(tmp_path: Path) -> None:
    data = made()
    data.mention("dev", 1)["id"] = "Q570"
    dataset, (change,) = cleaned(data, tmp_path)
    assert ids(dataset, "dev") == ["dev4", change.new_id]
    assert change.id == "Q570"
    assert change.new_id != "Q570"


def test_a_row_has_one_line_with_every_reason(tmp_path: Path) -> None:
    data = made()
    data.mention("train", 0)["id"] = "Q070"
    data.mention("dev", 0).update(
        {key: data.mention("train", 0)[key] for key in ("text", "surface", "start", "end", "image")}
    )
    _, (change,) = cleaned(data, tmp_path)
    assert (change.part, change.id, change.new_id) == ("train", "Q070", None)
    assert "text" in change.reason
    assert "picture" in change.reason


def test_a_text_that_is_no_template_without_the_rows_that_went_is_left_out_too(tmp_path: Path) -> None:
    data = made()
    for place, image in enumerate((None, "m1.png")):
        data.mention("train", place).update(text="A text.", surface="", start=None, end=None, image=image)
    data.mention("dev", 0).update(text="A text.", surface="", start=None, end=None)
    data.mention("dev", 1)["image"] = "m1.png"  # so that train1, which makes the text a template, goes
    findings = CHECKS["shared texts"](data.audited(tmp_path))
    assert not any(finding.found for finding in findings if finding.severity == "leak")
    dataset, left_out = cleaned(data, tmp_path)
    assert [each.id for each in left_out] == ["train1", "train0"]
    assert ids(dataset, "train") == ["train2", "train3"]


def test_a_split_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    data = made()
    for mention in data.splits["train"]:
        mention["image"] = data.mention("dev", 0)["image"]
    with pytest.raises(MelderError, match="all of train leaks"):
        cleaned(data, tmp_path)
    assert not (tmp_path / "out" / "entities.jsonl").exists()
