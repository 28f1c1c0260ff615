"""`melder link --input … --output …` that was stopped goes on where it stopped, and answers what it would have."""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from accidents.operations import NO_ROOM, in_a_child
from melder.cli import app
from melder.jobs import mention_file as corpus
from melder.linking import ExactLinker
from melder.records import MelderError


@pytest.fixture(autouse=True)
def _small_groups(_fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "AT_ONCE", 6)


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many mentions were linked, call by call."""
    numbers, plain = list[int](), ExactLinker.answers

    def counted(self: ExactLinker, mentions: list[object], *arguments: object) -> object:
        numbers.append(len(mentions))
        return plain(self, mentions, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ExactLinker, "answers", counted)
    return numbers


def link(sample: Path, output: Path, *more: str, mentions: str = "data/test.jsonl") -> None:
    arguments = ["link", str(sample / "kb"), "--input", str(sample / mentions), "--output", str(output), *more]
    app(arguments, standalone_mode=False)


@pytest.fixture(scope="module")
def whole(sample: Path, tmp_path_factory: pytest.TempPathFactory, _fast: None) -> bytes:
    """What a job that nobody stops writes."""
    path = tmp_path_factory.mktemp("whole") / "links.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "AT_ONCE", 6)
        link(sample, path)
    return path.read_bytes()


def test_killed_at_any_operation_it_goes_on_and_writes_the_same(
    sample: Path, whole: bytes, tmp_path: Path, scored: list[int]
) -> None:
    moments = in_a_child(partial(link, sample, tmp_path / "first.jsonl")).moments
    rest = set[int]()
    for number in range(1, len(moments) + 1):
        output = tmp_path / f"{number}.jsonl"
        assert in_a_child(partial(link, sample, output), at=number).killed
        assert not output.exists() or output.read_bytes() == whole
        scored.clear()
        if not output.exists():
            link(sample, output)
            rest.add(sum(scored))
        assert output.read_bytes() == whole
        if [path.name for path in tmp_path.glob(f"{number}.jsonl.*")] == [f"{number}.jsonl.lock"]:
            link(sample, output)  # it was killed when all was done but to remove the lock, which locks nothing
        assert not list(tmp_path.glob(f"{number}.jsonl.*"))
    assert rest >= {0, 4, 10}, "nothing is linked again whose group was finished"
    print(f"faults: kill link {len(moments)} kill points")


def test_a_partial_last_line_is_dropped_and_what_is_kept_is_said(
    sample: Path, whole: bytes, tmp_path: Path, scored: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "links.jsonl"
    part = _stopped(sample, output)
    lines = whole.splitlines(keepends=True)
    part.write_bytes(b"".join(lines[:7]) + lines[7][:20])
    link(sample, output)
    assert output.read_bytes() == whole
    assert sum(scored) == len(lines) - 6  # those of the group that was not finished are linked, and not written, again
    assert "goes on after 7 links of a job that was stopped" in capsys.readouterr().err


@pytest.mark.parametrize("more", [("-k", "3"), ("--candidates", "flat"), ("--nil-threshold", "0.5")])
def test_another_job_does_not_take_it_up(
    sample: Path, tmp_path: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "links.jsonl"
    _stopped(sample, output)
    link(sample, output, *more)
    assert "goes on" not in capsys.readouterr().err
    assert len(output.read_bytes().splitlines()) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["links.jsonl"]


def test_pictures_that_cannot_be_read_are_listed_though_their_mentions_were_linked_before(
    sample: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(sample, tmp_path / "sample"))
    first = json.loads((copied / "data/test.jsonl").read_text().splitlines()[0])
    (copied / "data" / first["image"]).write_bytes(b"no picture")
    _stopped(copied, tmp_path / "links.jsonl")
    said = in_a_child(partial(_left_out, copied, tmp_path / "links.jsonl", first["image"]))
    assert said.status == 0


def _left_out(sample: Path, output: Path, image: str) -> None:
    told = list[str]()
    sys.modules["melder.cli.link_file"].finish = lambda bad, unreadable: told.extend(unreadable)  # type: ignore[attr-defined]
    link(sample, output)
    assert len(told) == 1
    assert image in told[0]


def test_two_processes_do_not_write_the_same_links(sample: Path, tmp_path: Path) -> None:
    from melder.jobs.link_job import LinkJob

    output = tmp_path / "links.jsonl"
    with LinkJob.open(output, "0" * 12, []), pytest.raises(MelderError, match="another process is writing"):  # noqa: SIM117
        with LinkJob.open(output, "0" * 12, []):
            pass
    assert output.read_bytes() == b""
    with LinkJob.open(output, "0" * 12, []) as job:
        with pytest.raises(MelderError, match="another process is writing"), LinkJob.open(output, "1" * 12, []):
            pass  # with other settings
        job.write(["{}"])
    assert output.read_bytes() == b"{}\n"


def test_a_full_disk_keeps_what_was_linked(sample: Path, whole: bytes, tmp_path: Path) -> None:
    output = tmp_path / "links.jsonl"
    ended = in_a_child(partial(link, sample, output), NO_ROOM, at=_second_write(sample, tmp_path) + 1, onwards=True)
    assert ended.status == 2
    link(sample, output)
    assert output.read_bytes() == whole


def _stopped(sample: Path, output: Path) -> Path:
    """Kill a job in the middle; gives the file that it leaves."""
    assert in_a_child(partial(link, sample, output), at=_second_write(sample, output.parent)).killed
    (part,) = output.parent.glob("links.jsonl.*.part")
    assert part.stat().st_size > 0
    return part


def _second_write(sample: Path, folder: Path) -> int:
    """The number of the moment before links are written for the second time."""
    output = folder / "counted.jsonl"
    moments = in_a_child(partial(link, sample, output)).moments
    output.unlink()
    _, second, *_ = (number for number, moment in enumerate(moments, 1) if moment == "before write")
    return second
