"""What a linker or a knowledge base holds open ends with `close`, with its `with` block, or with the object."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import melder
from melder.building import build as kb_build
from melder.building.build import remove_entities
from melder.data import EntityFile
from melder.kb import KnowledgeBase, open_knowledge_base
from melder.kb.shards import join
from melder.linking import ExactLinker
from melder.records import MelderError
from melder.search.stored import store_search

TIMES = 1000


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture
def base(small_run: Path, small_data: Path, tmp_path: Path, small_segments: None) -> Path:
    kb_build.build(
        tmp_path / "kb", EntityFile(small_data / "entities.jsonl", small_data), run=small_run, counting=silent
    )
    return tmp_path / "kb"


def held(directory: Path) -> dict[str, int]:
    """How many descriptors, maps and locks this process has on files below a directory."""
    inodes = {str(path.stat().st_ino) for path in directory.rglob("*") if path.is_file()}
    descriptors = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            descriptors += os.readlink(f"/proc/self/fd/{number}").startswith(str(directory))
        except FileNotFoundError:  # the one that lists them
            continue
    maps = sum(str(directory) in line for line in Path("/proc/self/maps").read_text().splitlines())
    locks = re.findall(rf"FLOCK .* {os.getpid()} \S+:(\d+) ", Path("/proc/locks").read_text())
    return {"descriptors": descriptors, "maps": maps, "locks": len(inodes.intersection(locks))}


NOTHING = {"descriptors": 0, "maps": 0, "locks": 0}


def read(base: KnowledgeBase) -> None:
    """Something of every kind of file."""
    assert base.search("kite")
    assert sum(side.rows for _, side in base.blocks()) == len(base)
    assert base.picture(0) is not None


def test_a_knowledge_base_that_is_dropped_holds_nothing(base: Path) -> None:
    with open_knowledge_base(base) as opened:
        read(opened)
        assert held(base)["descriptors"] > 1
        assert held(base)["maps"] > 0
    assert held(base) == NOTHING
    gc.disable()  # it must not take a collection of garbage
    try:
        for number in range(TIMES):
            opened = open_knowledge_base(base)
            if number % 50 == 0:
                read(opened)
        del opened
        assert held(base) == NOTHING
    finally:
        gc.enable()


def test_a_linker_ends_with_its_block_with_close_and_with_the_object(base: Path) -> None:
    with melder.load(base, candidates="flat") as linker:
        assert linker.link("a red kite", mention="red kite").candidates  # type: ignore[union-attr]
        assert held(base)["descriptors"] > 0
    assert held(base) == NOTHING
    linker.close()  # again does nothing
    with pytest.raises(MelderError, match=r"this knowledge base was closed; open it again$"):
        linker.link("a red kite", mention="red kite")
    model = linker.model
    linker = ExactLinker(model, open_knowledge_base(base))
    linker.link("a red kite", mention="red kite")
    linker.close()
    assert held(base) == NOTHING
    linker = ExactLinker(model, open_knowledge_base(base))
    linker.link("a red kite", mention="red kite")
    del linker
    assert held(base) == NOTHING


def test_a_search_that_is_kept_prepared_is_given_up_too(base: Path) -> None:
    store_search(base, "hnsw", silent)
    with melder.load(base, candidates="hnsw") as linker:
        linker.link("a red kite", mention="red kite")
        assert held(base)["maps"] > 0
        assert linker.search is not None  # type: ignore[attr-defined]
    gc.collect()  # the library's own objects refer to each other
    assert held(base) == NOTHING


def test_nothing_can_be_read_of_one_that_is_closed_but_what_was_taken(base: Path) -> None:
    opened = open_knowledge_base(base)
    (_, side), *_ = opened.blocks()
    before = {name: tensor.clone() for name, tensor in side.items()}
    opened.close()
    assert all(tensor.equal(before[name]) for name, tensor in side.items())
    reads: list[Callable[[], object]] = [
        lambda: opened.entities[0],
        lambda: list(opened.blocks()),
        lambda: opened.rows(["Q1"]),
        lambda: opened.picture(0),
        lambda: opened.named("Red kite"),
    ]
    for reading in reads:
        with pytest.raises(MelderError, match="was closed"):
            reading()


def test_a_set_of_shards_and_a_failed_opening_hold_nothing(base: Path, tmp_path: Path) -> None:
    join(tmp_path / "set", [base])
    opened = open_knowledge_base(tmp_path / "set")
    read(opened)
    del opened
    assert held(base) == NOTHING
    with pytest.raises(MelderError, match="there is no search"):
        melder.load(base, candidates="nonsense")
    assert held(base) == NOTHING
    for options, message in (({"prior": True}, "fit it with"), ({"language": "?"}, "language")):
        with pytest.raises(MelderError, match=message):
            melder.load(base, **options)  # type: ignore[arg-type]
        assert held(base) == NOTHING
    cut = next(base.glob("segments/*/sides.bin"))
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(MelderError, match="has"):
        open_knowledge_base(base)
    with pytest.raises(MelderError, match="has"):
        melder.load(base, trusted=False)
    assert held(base) == NOTHING


def test_a_writer_reclaims_what_was_read_and_dropped(base: Path) -> None:
    for number in range(3):
        opened = open_knowledge_base(base)
        read(opened)
        del opened
        remove_entities(base, [f"Q{number}"])
        assert len(list((base / "generations").iterdir())) == 1
