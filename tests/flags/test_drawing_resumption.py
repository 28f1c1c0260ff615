"""Drawing that was interrupted goes on, and leaves the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from melder.data.flags import is_drawn, resumption, write_flags

COUNTS = {"seed": 3, "train": 24, "held_out": 6, "by_name": 8}
MENTIONS = 24 + 2 * 6 + 8


@pytest.fixture(autouse=True)
def noted_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "NOTED_EVERY", 5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    write_flags(directory, **COUNTS)
    return directory


def stopping(after: int) -> Callable[[str, int], Callable[[int], None]]:
    """Progress that interrupts once so many mentions are done."""

    def start(title: str, total: int) -> Callable[[int], None]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if count and done >= after:
                raise KeyboardInterrupt

        return advance

    return start


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def interrupted(directory: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_flags(directory, **COUNTS, counting=stopping(after))


@pytest.mark.parametrize("after", [1, 4, 5, 23, 24, 32, 33, 38, 43, MENTIONS])
def test_it_goes_on_and_leaves_the_same_bytes(whole: Path, tmp_path: Path, after: int) -> None:
    interrupted(tmp_path, after)
    assert not is_drawn(tmp_path)
    write_flags(tmp_path, **COUNTS)
    assert is_drawn(tmp_path)
    assert files(tmp_path) == files(whole)


def test_it_goes_on_as_often_as_it_is_interrupted(whole: Path, tmp_path: Path) -> None:
    for after in (7, 16, 29, 30, 40):
        interrupted(tmp_path, after)
    write_flags(tmp_path, **COUNTS)
    assert files(tmp_path) == files(whole)


def test_what_is_drawn_is_not_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, 22)
    drawn = list[str]()
    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: (drawn.append(path.name), real(path, data))[1])
    write_flags(tmp_path, **COUNTS)
    photographs = sorted(name for name in drawn if name.startswith("train"))
    assert photographs
    assert photographs[0] >= "train-00020"


@pytest.mark.parametrize("other", [{"seed": 4}, {"train": 25}, {"by_name": 0}])
def test_another_drawing_does_not_go_on_but_starts(tmp_path: Path, other: dict[str, int]) -> None:
    interrupted(tmp_path / "both", 30)
    write_flags(tmp_path / "both", **{**COUNTS, **other})
    write_flags(tmp_path / "new", **{**COUNTS, **other})
    for split in ("train", "dev", "test"):
        assert (tmp_path / f"both/{split}.jsonl").read_bytes() == (tmp_path / f"new/{split}.jsonl").read_bytes()


def test_a_damaged_note_starts_anew(whole: Path, tmp_path: Path) -> None:
    interrupted(tmp_path, 22)
    note = tmp_path / "drawing.json"
    note.write_bytes(note.read_bytes()[:100])
    write_flags(tmp_path, **COUNTS)
    assert files(tmp_path) == files(whole)
