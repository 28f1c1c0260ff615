"""Files that are missing, cut, or have a flipped bit: refused in one line, and named by `melder kb verify`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import melder
from accidents.conftest import Command, holds, silent
from melder.kb import open_knowledge_base
from melder.kb.inspection import verify
from melder.records import MelderError

REMEDY = "copy it again, or build it again|run the same `melder kb build` again"
UNREAD = ("lock", "metrics.json", "trained_on.json")  # files that nothing is read from when linking


@pytest.fixture
def base(commands: dict[str, Command], tmp_path: Path) -> Path:
    return commands["add"].begin(tmp_path / "kb")


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "lock")


def refusal(directory: Path) -> str:
    """The one line that opening ends with."""
    with pytest.raises(MelderError, match=REMEDY) as error:
        open_knowledge_base(directory)
    assert "\n" not in str(error.value)
    return str(error.value)


def flip(path: Path, byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", ["missing", "cut", "empty", "longer"])
def test_every_file_that_is_not_whole_is_refused_at_opening(base: Path, spoil: str) -> None:
    tried = 0
    for path in files(base):
        content = path.read_bytes()
        if spoil in ("cut", "empty") and not content:
            continue
        path.unlink()
        if spoil != "missing":
            path.write_bytes({"cut": content[:-2], "empty": b"", "longer": content + b"x"}[spoil])
        said = refusal(base)
        assert str(path) in said or (path.name == "CURRENT" and str(base) in said)  # whose digest is another file's
        path.write_bytes(content)
        tried += 1
    assert tried > 15
    print(f"faults: damage {spoil} {tried} files")


def test_every_flipped_bit_is_named_by_verify_and_refused_when_it_is_read(base: Path) -> None:
    tried = 0
    for path in files(base):
        content = path.read_bytes()
        for byte in sorted({0, len(content) // 2, len(content) - 2}) if content else ():
            flip(path, byte)
            said = "\n".join(_faults(base))
            assert str(path) in said or (path.name == "CURRENT" and str(base) in said)
            if path.name not in UNREAD:
                with pytest.raises(MelderError, match=re.escape(path.name) + "|generations"):
                    _read_all(base)
            path.write_bytes(content)
            tried += 1
    assert _faults(base) == []
    print(f"faults: damage flipped {tried} bits")


def test_verify_names_every_file_though_the_knowledge_base_cannot_be_opened(base: Path) -> None:
    segments = sorted((base / "segments").iterdir())
    assert len(segments) == 2
    (segments[0] / "sides.bin").unlink()
    (segments[0] / "records.sqlite").write_bytes(b"cut")
    shutil.rmtree(segments[1])
    (base / "model/config.yaml").unlink()
    flip(base / "model/model.safetensors", 9)
    found = _faults(base)
    assert len(found) == 5
    for fault, name in zip(
        found,
        ("records.sqlite", "sides.bin", "segment.json", "config.yaml", "model.safetensors"),
        strict=True,
    ):
        assert re.search(rf"{name}: (cannot be read|has 3 bytes|is not what was written)", fault), fault


def _faults(directory: Path) -> list[str]:
    try:
        return verify(directory, silent)[1]
    except MelderError as error:  # what says which files there are
        return [str(error)]


def _read_all(directory: Path) -> None:
    """All that linking reads: the model, every side, every record, id and picture."""
    with open_knowledge_base(directory) as base:
        base.check_model()
        assert sum(side.rows for _, side in base.blocks()) == len(base)
        for column, entity in enumerate(base.entities):
            for number in range(len(entity.images)):
                assert base.picture(column, number)
        assert len(base.rows([entity.id for entity in base.entities])) == len(base)
        assert base.search("of")


def test_reading_finds_nothing_wrong_with_what_is_whole(base: Path, commands: dict[str, Command]) -> None:
    _read_all(base)
    assert holds(base) == commands["add"].old


def test_a_model_with_a_flipped_bit_is_refused_before_it_is_linked_with(base: Path) -> None:
    flip(base / "model/model.safetensors", -9)
    with pytest.raises(MelderError, match=r"model\.safetensors: is not what was written"):
        melder.load(base)
