"""Whatever happens while a knowledge base is written, it opens: as it was before, or as it is to be."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kb.made import build, contents, entity
from melder.features import concatenate
from melder.kb import KnowledgeBase, Writer, compact
from melder.kb.digests import BLOCK
from melder.kb.inspection import faults
from melder.kb.manifest import publish
from melder.kb.writer import collect
from melder.records import Entity, MelderError

OLD = [entity(f"Q{n}", images=["a picture"]) for n in range(6)]
NEW = [entity("N1"), entity("N2")]
FORK = multiprocessing.get_context("fork")
KILLED = 9

Change = Callable[[Writer], object]
CHANGES: dict[str, tuple[Change, list[Entity]]] = {
    "add": (lambda writer: writer.commit([writer.write(contents(NEW))]), [*OLD, *NEW]),
    "update": (
        lambda writer: writer.commit([writer.write(contents([entity("Q2", "other")]))], dead=["Q2"]),
        [*OLD[:2], *OLD[3:], entity("Q2", "other")],
    ),
    "remove": (lambda writer: writer.commit(dead=["Q0", "Q5"]), OLD[1:5]),
    "compact": (compact, OLD),
}
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sqlite3.connect", "os.listdir"}


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


def changed(directory: Path, change: Change, before: Callable[[], None]) -> int:
    """Carry a change out in a process of its own; gives its exit status."""

    def work() -> None:
        before()
        with Writer.open(directory) as writer:
            change(writer)

    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def at_operation(number: int, directory: Path, happen: Callable[[], None]) -> Callable[[], None]:
    """Lets something happen right before the n-th operation of this process on files below a directory."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in EVENTS and any(isinstance(each, str | Path) and str(directory) in str(each) for each in arguments):
            count += 1
            if count == number:
                happen()

    return lambda: sys.addaudithook(hook)


def die() -> None:
    os._exit(KILLED)


def holds(directory: Path) -> list[Entity]:
    with KnowledgeBase.open(directory) as base:
        assert not faults(base)
        return list(base.entities)


@pytest.mark.parametrize("name", CHANGES)
def test_a_process_killed_at_any_operation_leaves_the_old_or_the_new(name: str, original: Path, tmp_path: Path) -> None:
    change, new = CHANGES[name]
    states = []
    for number in range(1, 200):
        directory = Path(shutil.copytree(original, tmp_path / str(number)))
        status = changed(directory, change, at_operation(number, directory, die))
        found = holds(directory)
        states.append(sorted(each.id + each.name for each in found))
        assert found in (OLD, new), f"killed at operation {number}"
        if number % 4 == 0:
            _goes_on(directory)
        shutil.rmtree(directory)
        if status == 0:
            break
        assert status == KILLED
    assert number > 15
    if name != "compact":
        assert states[0] != states[-1]
        assert states == sorted(states, key=states.index)  # once the new one is there, it stays


def _goes_on(directory: Path) -> None:
    """The next writer can work, and what the dead one left is gone."""
    with Writer.open(directory) as writer:
        writer.commit([writer.write(contents([entity("later")]))])
        listed = {each.name for each in writer.base.generation.segments}
        assert {path.name for path in (directory / "segments").iterdir()} == listed
        assert len(list((directory / "generations").iterdir())) == 1
    assert holds(directory)[-1].id == "later"


def full_disk() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["add", "compact"])
def test_a_disk_that_is_full_leaves_the_old(name: str, original: Path, tmp_path: Path) -> None:
    change, new = CHANGES[name]
    for number in range(3, 60, 5):
        directory = Path(shutil.copytree(original, tmp_path / str(number)))
        status = changed(directory, change, at_operation(number, directory, full_disk))
        assert holds(directory) in (OLD, new)
        if status == 0:
            break
    assert number > 10


def test_a_disk_that_fills_while_bytes_are_written_leaves_the_old(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: full_disk())
    with Writer.open(base) as writer, pytest.raises(OSError, match="No space left"):
        writer.commit([writer.write(contents(NEW))])
    monkeypatch.undo()
    assert holds(base) == OLD


def files(directory: Path) -> Iterator[Path]:
    with KnowledgeBase.open(directory) as base:
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
                KnowledgeBase.open(base)
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
    base = KnowledgeBase.open(tmp_path / "kb")
    segment = base.parts[0].segment
    assert segment.sides.rows("text.query", slice(0, 4)).shape[0] == 4  # in another block
    with pytest.raises(MelderError, match=r"sides\.bin: block 2 \(from byte 131,072\) is not what was written"):
        list(base.blocks())
    (fault,) = faults(base)
    assert f"{path}: block 2" in fault


@pytest.mark.parametrize("name", ["records.sqlite", "pictures.bin"])
def test_a_flipped_bit_in_records_and_pictures_is_refused(base: Path, name: str) -> None:
    opened = KnowledgeBase.open(base)
    path = opened.parts[0].segment.path / name
    flip(path, path.stat().st_size // 2)
    with pytest.raises(MelderError, match=f"{name}: block 0"):
        _ = opened.entities[0] if name == "records.sqlite" else opened.picture(0)
    assert len(faults(opened)) == 1


def test_a_flipped_bit_in_a_description_is_refused_at_opening(base: Path) -> None:
    for path in list(files(base))[1:3]:
        content = path.read_bytes()
        flip(path, len(content) // 2)
        with pytest.raises(MelderError, match="is not what was written"):
            KnowledgeBase.open(base)
        path.write_bytes(content)


def test_a_reader_keeps_its_generation_while_it_is_replaced(base: Path) -> None:
    reader = KnowledgeBase.open(base)
    with Writer.open(base) as writer:
        writer.commit(dead=["Q0"])
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
        writer.commit(dead=["N1"])
    assert {path.name for path in (base / "segments").iterdir()} < before
    assert [each.id for each in holds(base)] == ["Q1", "Q2", "Q3", "Q4", "Q5", "N2"]


def test_a_reader_in_another_process_keeps_its_generation(base: Path) -> None:
    ours, theirs = FORK.Pipe()

    def read() -> None:
        reader = KnowledgeBase.open(base)
        theirs.send("open")
        theirs.recv()
        theirs.send([each.id for each in reader.entities])

    process = FORK.Process(target=read)
    process.start()
    assert ours.recv() == "open"
    with Writer.open(base) as writer:
        writer.commit(dead=[each.id for each in OLD])
    ours.send("go on")
    assert ours.recv() == [each.id for each in OLD]
    process.join()


def test_of_two_writers_one_waits_or_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer.open(base), monkeypatch.context() as patch:
        patch.setattr("melder.kb.disk.PATIENCE", 0.2)
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
        CHANGES["add"][0](writer)


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
        CHANGES["add"][0](writer)
        new = writer.base.parts[-1].segment.path
    before = synced[: renamed[base / "CURRENT"]]
    part = new.with_name(new.name + ".part")
    written = [part / path.name for path in new.iterdir()]
    assert len(written) == 4
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

    with KnowledgeBase.open(base) as opened:
        generation = opened.generation
    new = publish(base, 2, generation.settings, generation.segments[:1])
    monkeypatch.setattr("os.close", noted)
    assert collect(base, new) == ["000001.json", generation.segments[1].name]
    assert there == [False]


def test_another_schema_version_is_named(base: Path) -> None:
    from melder.kb.digests import digest_of

    path = base / "generations/000001.json"
    content = path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 7')
    path.write_bytes(content)
    (base / "CURRENT").write_text(f"{path.name} {digest_of(content)}\n")
    with pytest.raises(
        MelderError, match=r"has schema version 7, Melder .* reads version 1; use the Melder that wrote"
    ):
        KnowledgeBase.open(base)
