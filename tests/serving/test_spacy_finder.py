"""`melder serve --find spacy:PIPELINE`: the entities of a pipeline, where a request marks no mentions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from melder.mentions.resolver import open_finder
from melder.records import MelderError
from serving.conftest import Start
from serving.test_command import Process

TEXT = "🏏 the Guinea pig and Mercury met 12 times; guinea did not"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blank pipeline on the disk, whose ruler finds three names, and numbers as well."""
    spacy = pytest.importorskip("spacy", reason="the extra `spacy` is not installed")
    nlp = spacy.blank("en")
    words = {"Guinea pig": "ORG", "Mercury": "LOC", "red kite": "BIRD", "12": "CARDINAL"}
    nlp.add_pipe("entity_ruler").add_patterns([{"label": label, "pattern": name} for name, label in words.items()])
    path = tmp_path_factory.mktemp("spacy") / "pipeline"
    nlp.to_disk(path)
    return path


@pytest.fixture
def finding(start: Start, pipeline: Path) -> TestClient:
    return start(finder=open_finder(f"spacy:{pipeline}"))


def test_entities_of_the_pipeline_are_linked_and_numbers_are_not(finding: TestClient) -> None:
    links = finding.post("/link", json={"text": TEXT, "k": 1}).json()["links"]
    assert [(TEXT[each["start"] : each["end"]], each["surface"]) for each in links] == [
        ("Guinea pig", "Guinea pig"),
        ("Mercury", "Mercury"),
    ]
    assert [each["candidates"][0]["id"] for each in links] == ["pig", "m1"]


def test_mentions_that_are_given_are_kept(finding: TestClient) -> None:
    asked = {"text": TEXT, "mentions": [{"start": 21, "end": 28}]}
    assert [each["surface"] for each in finding.post("/link", json=asked).json()["links"]] == ["Mercury"]


def test_batches_and_forms_find_them_too(finding: TestClient) -> None:
    batch = finding.post("/link/batch", json={"requests": [{"text": TEXT}, {"text": "nothing"}]}).json()
    assert [len(each["links"]) for each in batch["results"]] == [2, 0]
    assert len(finding.post("/link", files={"text": (None, TEXT)}).json()["links"]) == 2


def test_names_of_entities_are_the_default() -> None:
    assert open_finder("names").reads_names


def test_the_command_serves_with_a_pipeline(pipeline: Path, small_run: Path, small_data: Path) -> None:
    running = Process(
        small_run,
        "--data",
        small_data,
        "--find",
        f"spacy:{pipeline}",
        "--set",
        "method.published=true",
        "--set",
        "method.pictures=1",
    )
    try:
        text = "A red kite, no blue whale"
        status, _, answer = running.ask(body={"text": text, "k": 1})
        assert (status, [each["surface"] for each in answer["links"]]) == (200, ["red kite"])
        assert running.end() == (0, "")
    finally:
        running.process.kill()
        running.process.communicate()


@pytest.mark.parametrize("name", ["spacy", "spacy:", "flair:en", ""])
def test_a_finder_that_there_is_not_says_which_there_are(name: str) -> None:
    with pytest.raises(MelderError, match="spacy: and the package or directory of a spaCy pipeline"):
        open_finder(name)


def test_a_pipeline_that_there_is_not_is_named(tmp_path: Path) -> None:
    pytest.importorskip("spacy", reason="the extra `spacy` is not installed")
    for name in ("no_such_package", str(tmp_path)):
        with pytest.raises(MelderError) as error:
            open_finder(f"spacy:{name}")
        assert str(error.value).startswith(f"--find spacy:{name}: cannot be loaded (")
        assert "\n" not in str(error.value)


def test_a_pipeline_that_finds_nothing_is_refused(tmp_path: Path) -> None:
    spacy: Any = pytest.importorskip("spacy", reason="the extra `spacy` is not installed")
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "pipeline")
    with pytest.raises(MelderError, match=r"finds no entities \(it has sentencizer\); add `ner` or an `entity_ruler`"):
        open_finder(f"spacy:{tmp_path / 'pipeline'}")


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MelderError, match=r"needs spaCy: install it with `pip install 'melder\[spacy\]'`"):
        open_finder("spacy:en_core_web_sm")
