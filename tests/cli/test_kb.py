"""`melder kb`, from a table to links, and what it says of mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.conftest import Melder
from training.small import read_lines


@pytest.fixture
def table(small_data: Path, tmp_path: Path) -> Path:
    """The small entities as a CSV file; pictures stay where they are."""
    rows = ["id,name,aliases,description,images"]
    for each in read_lines(small_data / "entities.jsonl"):
        rows.append(
            ",".join([each["id"], each["name"], "|".join(each["aliases"]), each["description"], each["images"][0]])
        )
    path = tmp_path / "animals.csv"
    path.write_text("\n".join(rows))
    return path


@pytest.fixture
def kb(melder: Melder, table: Path, small_run: Path, small_data: Path, tmp_path: Path) -> Path:
    said = melder("kb", "build", small_run, "--entities", table, "--images", small_data, "--out", tmp_path / "kb")
    assert said.status == 0
    assert f"{tmp_path / 'kb'}: 12 entities. Next: melder link" in said.errors
    assert re.search(r"^12 texts \(.+/s\) and 12 pictures \(.+/s\) encoded in ", said.errors, re.MULTILINE)
    return tmp_path / "kb"


def test_from_a_table_to_links(melder: Melder, kb: Path, small_run: Path, small_data: Path) -> None:
    question = (
        "--text",
        "A red kite was seen",
        "--mention",
        "red kite",
        "--image",
        small_data / "images/0.png",
        "--json",
    )
    answers = [
        json.loads(melder("link", *where, *question).out) for where in ((kb,), (small_run, "--data", small_data))
    ]
    assert next([each["id"] for each in answer["candidates"]] for answer in answers)[0] == "Q0"
    assert len(answers[0]["candidates"]) == len(answers[1]["candidates"]) == 10
    assert "12 candidates" in melder("evaluate", kb, "--data", small_data).out


def test_changes_from_the_command_line(melder: Melder, kb: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("id,name\nY,Purple yak\nZ,Zebra\n")
    assert melder("kb", "add", kb, "--entities", more).status == 0
    assert (
        "holds 'Y', 'Z' already; replace it with `melder kb update`"
        in melder("kb", "add", kb, "--entities", more).error
    )
    assert melder("kb", "update", kb, "--entities", more).status == 0
    assert melder("kb", "remove", kb, "Y").status == 0
    (tmp_path / "ids").write_text("Z\n\nQ0\n")
    assert "2 entities removed" in melder("kb", "remove", kb, "--ids", tmp_path / "ids").errors
    assert "holds no entity 'Z'" in melder("kb", "remove", kb, "Z").error
    info = json.loads(melder("kb", "info", kb, "--json").out)
    assert (info["entities"], info["generation"], info["removed_rows"]) == (11, 5, 1)
    assert "1 segment is 1 now" in melder("kb", "compact", kb).errors
    assert "11" in melder("kb", "info", kb).out
    assert "11 entities, and every file is as it was written" in melder("kb", "verify", kb).errors


def test_what_is_left_out_is_listed_with_status_3(melder: Melder, kb: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("id,name,images\nA,Ape,none.png\n,Bee,\nA,Cow,\n")
    error = melder("kb", "add", kb, "--entities", more)
    assert error.status == 2
    assert len(error.errors.splitlines()) == 3
    said = melder("kb", "add", kb, "--entities", more, "--skip-bad")
    assert said.status == 3
    assert "1 entity added" in said.errors
    assert "2 records left out, 1 record taken as far as possible:" in said.errors
    assert f"{more}, row 3, field 'id': is empty" in said.errors


def test_damage_is_named_block_by_block(melder: Melder, kb: Path) -> None:
    (path,) = (kb / "segments").glob("*/sides.bin")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert f"{path}: block 0" in melder("kb", "verify", kb).error
    assert f"{path}: block 0" in melder("link", kb, "--text", "a fox").error


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "neither run nor encoder": (("build", "--entities", "E", "--out", "O"), "name either a run, or with --encoder"),
    "both": (
        ("build", "RUN", "--encoder", "x", "--entities", "E", "--out", "O"),
        "name either a run, or with --encoder",
    ),
    "no entities": (("build", "RUN", "--entities", "none.csv", "--out", "O"), "none.csv: there is no such file"),
    "no run": (("build", "none", "--entities", "E", "--out", "O"), "none: is no run"),
    "untrained": (("build", "--encoder", "clip:compact", "--entities", "E", "--out", "O"), "knows nothing before"),
    "no encoder": (("build", "--encoder", "x:y", "--entities", "E", "--out", "O"), "there is no encoder 'x:y'"),
    "no kb": (("add", "none", "--entities", "E"), "none: there is no such directory"),
    "a run": (("info", "RUN"), "is no knowledge base (CURRENT is missing)"),
    "no ids": (("remove", "none"), "name ids, or with --ids"),
    "no place": (("build", "RUN", "--entities", "E", "--out", "/dev/null/x"), "/dev/null/x"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(
    case: str, melder: Melder, small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, words = MISTAKES[case]
    named = {"RUN": str(small_run), "E": str(small_data / "entities.jsonl"), "O": "out"}
    assert words in melder("kb", *(named.get(each, each) for each in arguments)).error


def test_learning_and_forgetting(melder: Melder, kb: Path, small_data: Path, tmp_path: Path) -> None:
    lessons = tmp_path / "lessons.csv"
    lessons.write_text(
        "text,mention,answer,image\nThe old one sleeps,the old one,Q3,images/3.png\nIt flies,It,Q0,\nIt,It,,\n"
    )
    said = melder("kb", "learn", kb, lessons, "--images", small_data)
    assert said.status == 0
    assert f"{kb}: 2 mentions learned, 0 corrected, 0 known already; 1 without an answer teach nothing" in said.errors
    told = json.loads(melder("kb", "info", kb, "--json").out)
    assert (told["exemplars"], told["entities_with_exemplars"], told["entities"]) == (2, 2, 12)
    assert "exemplars" in melder("kb", "info", kb).out
    assert "1 of 2 mentions does not stand in its text" in said.errors  # "The old one", there
    assert (
        "0 mentions learned, 0 corrected, 2 known" in melder("kb", "learn", kb, lessons, "--images", small_data).errors
    )
    question = ("--text", "The old one sleeps", "--mention", "The old one", "--image", small_data / "images/3.png")
    assert "seen once as 'the old one'" in " ".join(melder("link", kb, *question).out.split())
    assert json.loads(melder("link", kb, *question, "--json").out)["candidates"][0]["units"]["exemplars"] != 0
    assert melder("link", kb, *question, "--explain", tmp_path / "why.html").status == 0
    assert "Learned from mentions: seen once as" in (tmp_path / "why.html").read_text(encoding="utf-8")
    assert f"{kb}: 1 mention forgotten" in melder("kb", "forget", kb, "Q0").errors
    assert f"{kb}: 1 mention forgotten" in melder("kb", "forget", kb, "--file", lessons, "--images", small_data).errors
    assert f"{kb}: 0 mentions forgotten" in melder("kb", "forget", kb, "--all").errors


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            '{"text": "It flies", "mention": "It", "answer": "Q99"}',
            "mention '1': there is no entity 'Q99'; correct the id",
        ),
        ('{"text": "It flies", "mention": "It"}', "no mention has an answer; give each the id of its entity"),
        ('{"text": "It flies", "mention": {"word": "It"}, "answer": "Q0"}', "record 1, field 'surface'"),
        ("[", "lessons.jsonl"),
    ],
)
def test_what_cannot_be_learned_is_named(melder: Melder, kb: Path, tmp_path: Path, lines: str, message: str) -> None:
    lessons = tmp_path / "lessons.jsonl"
    lessons.write_text(lines + "\n")
    said = melder("kb", "learn", kb, lessons)
    assert said.status != 0
    assert message in said.errors
    assert json.loads(melder("kb", "info", kb, "--json").out)["exemplars"] == 0


def test_bad_lessons_are_left_out_and_listed(melder: Melder, kb: Path, tmp_path: Path) -> None:
    lessons = tmp_path / "lessons.jsonl"
    good, bad = '{"text": "It flies", "mention": "Itt", "answer": "Q0"}', '{"text": "It", "answer": "Q99"}'
    lessons.write_text(f"{good}\n{bad}\n")
    said = melder("kb", "learn", kb, lessons, "--skip-bad")
    assert said.status == 3
    assert "1 mention learned" in said.errors
    assert "1 of 1 mention does not stand in its text, letter by letter: learned by its words, with all" in said.errors
    assert "there is no entity 'Q99'" in said.errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name ids of entities, or give --file FILE, or --all"),
        (("Q0", "--all"), "name ids of entities, or give --file FILE, or --all"),
        (("Q99",), "there is no entity 'Q99'; `melder kb search` finds entities by name"),
        (("--file", "none.jsonl"), "none.jsonl: cannot be read"),
    ],
)
def test_what_cannot_be_forgotten_is_named(melder: Melder, kb: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in melder("kb", "forget", kb, *arguments).error
