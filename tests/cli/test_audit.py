"""`melder audit` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Melder

ENTITIES = [{"id": "Q1", "name": "Ann [b]"}, {"id": "Q2", "name": "Bo"}]
TRAIN = [{"id": "1", "text": "Ann [/b] sang", "answer": "Q1"}, {"id": "2", "text": "Bo sang", "answer": "Q2"}]
DEV = [{"id": "3", "text": "Ann [/b] sang", "answer": "Q1"}]


def write(directory: Path, **files: list[dict[str, str]]) -> Path:
    for name, records in files.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (directory / f"{name}.jsonl").write_text(lines)
    return directory


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    (tmp_path / "leaking").mkdir()
    return write(tmp_path / "leaking", entities=ENTITIES, train=TRAIN, dev=DEV)


def test_findings_are_no_error(melder: Melder, leaking: Path) -> None:
    said = melder("audit", leaking)
    assert said.status == 0
    assert "2 train, 1 dev, 2 entities" in " ".join(said.out.split())
    assert "shared texts: same question" in " ".join(said.out.split())
    assert "'Ann [/b] sang'" in " ".join(said.out.split())
    assert "Nothing to look at: shared pictures" in " ".join(said.out.split())


def test_strict_leaves_with_status_3_only_if_there_is_a_leak(melder: Melder, leaking: Path) -> None:
    assert melder("audit", leaking, "--strict").status == 3
    write(leaking, dev=[{**DEV[0], "text": "Another text"}])
    said = melder("audit", leaking, "--strict")
    assert said.status == 0
    assert "repeats" in " ".join(said.out.split())


def test_all_findings_go_to_a_file(melder: Melder, leaking: Path, tmp_path: Path) -> None:
    assert melder("audit", leaking, "--json", tmp_path / "new" / "findings.json").status == 0
    content = json.loads((tmp_path / "new" / "findings.json").read_text())
    assert content["rows"] == {"train": 2, "dev": 1, "entities": 2}
    (finding,) = [each for each in content["findings"] if each["kind"] == "same question"]
    assert (finding["check"], finding["severity"]) == ("shared texts", "leak")
    assert finding["counts"] == {"train": 1, "dev": 1}
    assert finding["of"] == {"train": 2, "dev": 1}
    assert finding["ids"] == {"train": ["1"], "dev": ["3"]}


def test_the_clean_data_set_passes_the_strict_audit(melder: Melder, leaking: Path, tmp_path: Path) -> None:
    said = melder("audit", leaking, "--write-clean", tmp_path / "clean")
    assert said.status == 0
    assert "lists 1 change" in said.errors
    assert melder("audit", tmp_path / "clean", "--strict").status == 0
    assert [json.loads(line)["id"] for line in (tmp_path / "clean" / "train.jsonl").read_text().splitlines()] == ["2"]


def test_nothing_is_written_over(melder: Melder, leaking: Path) -> None:
    before = (leaking / "train.jsonl").read_bytes()
    assert "name a new one" in melder("audit", leaking, "--write-clean", leaking).error
    assert (leaking / "train.jsonl").read_bytes() == before


def test_bad_records_are_errors_unless_they_are_skipped(melder: Melder, leaking: Path) -> None:
    write(leaking, dev=[*DEV, {"id": "4", "text": "?", "answer": "Q9"}])
    assert "'Q9' is not in the knowledge base" in melder("audit", leaking).error
    said = melder("audit", leaking, "--skip-bad")
    assert said.status == 3
    assert "answers: not in the knowledge base" in " ".join(said.out.split())
    assert "1 record left out:" in said.errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layout", "mine"], "there is no layout 'mine'"),
        (["--layout", "mimic"], "kb_entity.json"),
        (["--json", "/proc/nowhere/findings.json"], "name another place"),
    ],
)
def test_nonsense_is_one_line(melder: Melder, leaking: Path, options: list[str], message: str) -> None:
    assert message in melder("audit", leaking, *options).error


def test_a_place_without_data_is_one_line(melder: Melder, tmp_path: Path) -> None:
    assert "does not exist" in melder("audit", tmp_path / "nowhere").error
