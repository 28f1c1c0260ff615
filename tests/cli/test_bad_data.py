"""Bad records and pictures: one line each that says where and what to do, and exit status 2, or 3 when left out."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.conftest import Melder, Said
from training.small import read_lines, small_run, write_lines

Spoil = Callable[[Path], None]


def png_header(width: int, height: int) -> bytes:
    """A PNG that says its size and holds no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def tiny_png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()


def cut_jpeg() -> bytes:
    file = BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(file, "JPEG")
    return file.getvalue()[:1500]


def change(name: str, row: int, **fields: Any) -> Spoil:
    """Gives record `row`, counted from 1, of a file other fields."""

    def spoil(data: Path) -> None:
        records = read_lines(data / name)
        records[row - 1] |= fields
        write_lines(data / name, records)

    return spoil


def write(name: str, content: bytes) -> Spoil:
    return lambda data: (data / name).write_bytes(content) and None


def picture(content: bytes) -> Spoil:
    """Gives the first mention of train another picture, in train and in dev."""

    def spoil(data: Path) -> None:
        (data / "images/train-0.png").write_bytes(content)
        (data / "images/dev-0.png").write_bytes(content)

    return spoil


# What is spoilt; what the line must name: the file, the record, the field, the fault and the remedy.
BAD_DATA: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "empty split": (write("train.jsonl", b""), ("train.jsonl", "is empty", "write at least one record")),
    "entity id twice": (
        change("entities.jsonl", 5, id="Q1"),
        ("entities.jsonl, record 5, field 'id'", "'Q1' is also the id of record 2", "give each its own"),
    ),
    "mention id twice": (
        change("train.jsonl", 7, id="train-1"),
        ("train.jsonl, record 7, field 'id'", "'train-1' is also the id of record 2", "give each its own"),
    ),
    "answer not in the KB": (
        change("train.jsonl", 2, answer="Q77"),
        ("train.jsonl, record 2, field 'answer'", "'Q77' is not in the knowledge base", "add that entity"),
    ),
    "span outside the text": (
        change("train.jsonl", 9, end=999),
        ("train.jsonl, record 9, field 'start'", "999) lies outside the text of", "correct it"),
    ),
    "not JSON": (write("train.jsonl", b'{"id": '), ("train.jsonl, record 1", "is not JSON", "mend it")),
    "unknown field": (
        change("train.jsonl", 3, anser="Q1"),
        ("train.jsonl, record 3, field 'anser'", "is not a field", "use one of id, text"),
    ),
    "truncated JPEG": (picture(cut_jpeg()), ("images/train-0.png", "damaged or cut short", "replace the file")),
    "picture of 1×1": (picture(tiny_png()), ("images/train-0.png", "1×1 is smaller than 2×2", "use a larger one")),
    "picture of 20,000×20,000": (
        picture(png_header(20_000, 20_000)),
        ("images/train-0.png", "more than 50,000,000 pixels", "save a smaller one"),
    ),
    "picture that is no picture": (picture(b"hello"), ("images/train-0.png", "not a picture", "convert it")),
    "missing picture": (
        change("train.jsonl", 1, image="images/none.jpg"),
        ("images/none.jpg", "there is no such file", "leave the picture out"),
    ),
    "picture elsewhere": (
        change("train.jsonl", 1, image="../../etc/passwd"),
        ("train.jsonl, record 1, field 'image'", "leaves the data set's directory", "use a path inside it"),
    ),
    "no split": (lambda data: (data / "train.jsonl").unlink(), ("has no split 'train'", "dev (dev.jsonl)")),
    "no entities": (lambda data: (data / "entities.jsonl").unlink(), ("is not a data set", "needs entities.jsonl")),
}


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("trained", [False, True])
def test_bad_data_stops_a_training(
    case: str, trained: bool, melder: Melder, recipe: Path, data: Path, tmp_path: Path
) -> None:
    spoil, words = BAD_DATA[case]
    spoil(data)
    line = melder("train", recipe, f"encoder.trained={trained}", "--out", tmp_path / "run").error
    assert [word for word in words if word not in line] == []
    assert not (tmp_path / "run" / "environment.json").exists()


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_stops_an_evaluation_and_an_encoding(case: str, melder: Melder, recipe: Path, data: Path) -> None:
    spoil, words = BAD_DATA[case]
    spoil(data)
    for command in (
        ("evaluate", small_run(), "--data", data, "--split", "train"),
        ("features", recipe, "--out", data / "features"),
    ):
        line = melder(*command).error
        assert [word for word in words if word not in line] == []


def spoilt(data: Path) -> None:
    change("train.jsonl", 2, answer="Q77")(data)
    change("train.jsonl", 9, end=999)(data)
    change("dev.jsonl", 2, answer="Q77")(data)
    picture(cut_jpeg())(data)


def test_every_bad_record_has_a_line(melder: Melder, recipe: Path, data: Path, tmp_path: Path) -> None:
    spoilt(data)
    said = melder("train", recipe, "--out", tmp_path / "run")
    assert said.status == 2
    lines = said.errors.splitlines()
    assert ["record 2, field 'answer'" in lines[0], "record 9, field 'start'" in lines[1]] == [True, True]
    assert len(lines) == 2


def left_out(said: Said) -> list[str]:
    """The lines about what was left out; the last lines of a command that ends with status 3."""
    assert said.status == 3, said.errors
    lines = said.errors.splitlines()
    (start,) = [number for number, line in enumerate(lines) if line.endswith(" left out:")]
    assert sum(map(int, re.findall(r"\d+", lines[start]))) == len(lines) - start - 1
    return lines[start + 1 :]


@pytest.mark.parametrize("trained", [False, True])
def test_training_can_leave_bad_records_out(
    trained: bool, melder: Melder, recipe: Path, data: Path, tmp_path: Path
) -> None:
    spoilt(data)
    said = melder("train", recipe, f"encoder.trained={trained}", "--skip-bad", "--out", tmp_path / "run")
    listed = left_out(said)
    assert len(listed) == 3
    assert all(any(word in line for line in listed) for word in ("record 2", "record 9", "images/train-0.png"))
    assert (tmp_path / "run" / "environment.json").is_file()
    evaluated = melder("evaluate", tmp_path / "run", "--data", data, "--split", "dev", "--skip-bad")
    assert len(left_out(evaluated)) == 2
    assert "m3el" in evaluated.out


def test_features_can_leave_bad_records_out(melder: Melder, recipe: Path, data: Path, tmp_path: Path) -> None:
    spoilt(data)
    said = melder("features", recipe, "--skip-bad", "--out", tmp_path / "features")
    assert len(left_out(said)) == 5  # three records, two pictures
    assert (tmp_path / "features/dev/features.json").is_file()


def test_a_long_list_of_what_was_left_out_is_cut(melder: Melder, data: Path) -> None:
    write_lines(data / "dev.jsonl", [*read_lines(data / "dev.jsonl"), *({"id": ""} for _ in range(30))])
    said = melder("evaluate", small_run(), "--data", data, "--skip-bad")
    assert said.status == 3
    assert "30 records left out:" in said.errors
    assert said.errors.splitlines()[-1].strip() == "and 10 more"


def test_bad_lines_and_pictures_of_a_file_are_left_out_of_its_links(
    melder: Melder, small_data: Path, data: Path
) -> None:
    picture(tiny_png())(data)
    lines = (data / "dev.jsonl").read_text().splitlines()
    (data / "in.jsonl").write_text("\n".join([lines[0], "{", json.dumps({"id": "x", "start": 3}), lines[1]]))
    said = melder("link", small_run(), "--data", small_data, "--input", data / "in.jsonl")
    listed = left_out(said)
    assert ["record 2" in listed[0], "record 3, field 'start'" in listed[1], "dev-0.png" in listed[2]] == [True] * 3
    assert [json.loads(line)["id"] for line in said.out.splitlines()] == ["dev-0", "dev-1"]
