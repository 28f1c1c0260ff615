"""Whatever happens while a knowledge base is written, it opens: as it was before, or as it is to be.

Killed processes and full disks are in tests/accidents.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kb.made import build, contents, entity
from melder.features import concatenate
from melder.io.checksums import BLOCK
from melder.kb import KnowledgeBase, Writer, compact, open_knowledge_base
from melder.kb.inspection import verify
from melder.kb.manifest import publish
from melder.kb.writer import collect_garbage
from melder.records import Entity, MelderError

OLD = [entity(f"Q{n}", images=["a picture"]) for n in range(6)]
NEW = [entity("N1"), entity("N2")]
FORK = multiprocessing.get_context("fork")


def add(writer: Writer) -> None:
    writer.commit([writer.write(contents(NEW))])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("accidents") / "kb"
    build(path, OLD[:3], OLD[3:])
    return path


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed loses nothing that it wrote; only a machine does."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def base(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "kb"))


def faults_of(base: KnowledgeBase) -> list[str]:
    """What `melder kb verify` says of a knowledge base."""
    return verify(base.directory, lambda title, total: lambda done: None)[1]


def holds(directory: Path) -> list[Entity]:
    with open_knowledge_base(directory) as base:
        assert not faults_of(base)
        return list(base.entities)


def full_disk() -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_fills_while_bytes_are_written_leaves_the_old(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: full_disk())
    with Writer.open(base) as writer, pytest.raises(OSError, match="No space left"):
        writer.commit([writer.write(contents(NEW))])
    monkeypatch.undo()
    assert holds(base) == OLD


def files(directory: Path) -> Iterator[Path]:
    with open_knowledge_base(directory) as base:
        yield directory / "CURRENT"
        yield directory / f"generations/{base.generation.number:06d}.json"
        for name in ("segment.json", "records.sqlite", "sides.bin", "pictures.bin"):
            yield base.parts[1].segment.path / name


@pytest.mark.parametrize("spoil", ["remove", "cut", "empty", "append"])
def test_a_file_that_is_missing_or_of_another_size_is_refused_at_opening(base: Path, spoil: str) -> None:
    for path in list(files(base)):
        content = path.read_bytes()
        if spoil == "remove":
            path.unlink()
        else:
            path.write_bytes({"cut": content[:-1], "empty": b"", "append": content + b"x"}[spoil])
        if path.name == "CURRENT" and spoil in ("cut", "remove"):
            pass  # a missing line feed changes nothing; without CURRENT the knowledge base was never finished
        else:
            with pytest.raises(MelderError, match=str(path)) as error:
                open_knowledge_base(base)
            assert "\n" not in str(error.value)
        path.write_bytes(content)
        assert holds(base) == OLD


def flip(path: Path, byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 4
    path.write_bytes(content)


def test_a_flipped_bit_is_refused_when_its_block_is_read(tmp_path: Path) -> None:
    build(tmp_path / "kb", [entity(f"Q{n}", f"{n} " * 200) for n in range(800)])
    (path,) = (tmp_path / "kb/segments").glob("*/sides.bin")
    assert path.stat().st_size > 3 * BLOCK
    flip(path, 2 * BLOCK + 5)
    base = open_knowledge_base(tmp_path / "kb")
    segment = base.parts[0].segment
    assert segment.sides.rows("text.query", slice(0, 4)).shape[0] == 4  # in another block
    with pytest.raises(MelderError, match=r"sides\.bin: block 2 \(from byte 131,072\) is not what was written"):
        list(base.blocks())
    (fault,) = faults_of(base)
    assert f"{path}: block 2" in fault


@pytest.mark.parametrize("name", ["records.sqlite", "pictures.bin"])
def test_a_flipped_bit_in_records_and_pictures_is_refused(base: Path, name: str) -> None:
    opened = open_knowledge_base(base)
    path = opened.parts[0].segment.path / name
    flip(path, path.stat().st_size // 2)
    with pytest.raises(MelderError, match=f"{name}: block 0"):
        _ = opened.entities[0] if name == "records.sqlite" else opened.picture(0)
    assert len(faults_of(opened)) == 1


def test_a_flipped_bit_in_a_description_is_refused_at_opening(base: Path) -> None:
    for path in list(files(base))[1:3]:
        content = path.read_bytes()
        flip(path, len(content) // 2)
        with pytest.raises(MelderError, match="is not what was written"):
            open_knowledge_base(base)
        path.write_bytes(content)


def test_a_reader_keeps_its_generation_while_it_is_replaced(base: Path) -> None:
    reader = open_knowledge_base(base)
    with Writer.open(base) as writer:
        writer.commit(deleted=["Q0"])
        compact(writer)
        writer.commit([writer.write(contents(NEW))])
    assert not reader.is_current
    assert list(reader.entities) == OLD
    assert concatenate([side for _, side in reader.blocks()]).rows == 6
    assert reader.search("name") == list(range(6))
    assert reader.picture(5) == b"a picture"
    before = {path.name for path in (base / "segments").iterdir()}
    reader.close()
    with Writer.open(base) as writer:
        writer.commit(deleted=["N1"])
    assert {path.name for path in (base / "segments").iterdir()} < before
    assert [each.id for each in holds(base)] == ["Q1", "Q2", "Q3", "Q4", "Q5", "N2"]


def test_a_reader_in_another_process_keeps_its_generation(base: Path) -> None:
    ours, theirs = FORK.Pipe()

    def read() -> None:
        reader = open_knowledge_base(base)
        theirs.send("open")
        theirs.recv()
        theirs.send([each.id for each in reader.entities])

    process = FORK.Process(target=read)
    process.start()
    assert ours.recv() == "open"
    with Writer.open(base) as writer:
        writer.commit(deleted=[each.id for each in OLD])
    ours.send("go on")
    assert ours.recv() == [each.id for each in OLD]
    process.join()


def test_of_two_writers_one_waits_or_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer.open(base), monkeypatch.context() as patch:
        patch.setattr("melder.io.locks.PATIENCE", 0.2)
        with pytest.raises(MelderError, match="another process is changing this knowledge base"), Writer.open(base):
            pass
    assert holds(base) == OLD
    ours, theirs = FORK.Pipe()
    waiting = FORK.Process(target=_add_when_told, args=(base, theirs))
    waiting.start()  # before the lock is taken: a fork would share it
    with Writer.open(base):
        ours.send("go on")
        time.sleep(0.3)
        assert waiting.is_alive()
        assert holds(base) == OLD
    waiting.join()
    assert holds(base) == [*OLD, *NEW]


def _add_when_told(directory: Path, told: Connection) -> None:
    told.recv()
    with Writer.open(directory) as writer:
        add(writer)


def test_all_that_a_generation_lists_is_on_the_disk_before_it_is_the_current_one(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    renamed: dict[Path, int] = {}
    replace = os.replace

    def note(source: Path, target: Path) -> None:
        renamed[target] = len(synced)
        replace(source, target)

    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
    monkeypatch.setattr("os.replace", note)
    with Writer.open(base) as writer:
        add(writer)
        new = writer.base.parts[-1].segment.path
    before = synced[: renamed[base / "CURRENT"]]
    part = new.with_name(new.name + ".part")
    written = [part / path.name for path in new.iterdir()]
    assert len(written) == 5
    manifest = base / "generations/000002.json"
    for path in (*written, part, new.parent, manifest.with_name("000002.json.part"), manifest.parent):
        assert path in before, path
    assert synced[-2:] == [base / "CURRENT.part", base]


def test_read_only_media_can_be_read(base: Path) -> None:
    for path in [base, *base.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert holds(base) == OLD
    finally:
        for path in [base, *base.rglob("*")]:
            path.chmod(0o755)


def test_a_directory_that_is_none_says_so_and_stays_as_it_is(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "is no knowledge base"), (tmp_path / "none", "there is no such directory")):
        with pytest.raises(MelderError, match=words), Writer.open(path):
            pass
    assert not list(tmp_path.iterdir())


def test_an_old_manifest_is_gone_before_a_reader_can_lock_it(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that has read CURRENT waits for the lock; its generation must not be removed once it has it."""
    old, close, there = base / "generations/000001.json", os.close, list[bool]()
    manifest = old.stat()

    def noted(descriptor: int) -> None:
        locked = os.path.samestat(os.fstat(descriptor), manifest)
        close(descriptor)
        if locked:
            there.append(old.exists())

    with open_knowledge_base(base) as opened:
        generation = opened.generation
    new = publish(base, 2, generation.settings, generation.segments[:1])
    monkeypatch.setattr("os.close", noted)
    assert collect_garbage(base, new) == ["000001.json", generation.segments[1].name]
    assert there == [False]
