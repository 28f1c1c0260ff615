"""A stranger's knowledge base: damaged and sealed again it links, or is refused in one line; nothing else is read."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import melder
from kb.resealed import DAMAGES, damage, seal
from melder.building import build as kb_build
from melder.cli import app
from melder.data import EntityFile
from melder.kb import open_knowledge_base
from melder.kb.shards import join
from melder.records import Link, MelderError
from melder.search.stored import store_search

SEEDS = 5  # of each kind; `python benchmarks/untrusted.py` takes a hundred
LONGEST = 10.0  # seconds until it is refused, on a machine with nothing else to do


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def whole(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory, small_segments: None) -> Path:
    base = tmp_path_factory.mktemp("whole") / "kb"
    kb_build.build(base, EntityFile(small_data / "entities.jsonl", small_data), run=small_run, counting=silent)
    store_search(base, "hnsw", silent)
    return base


@pytest.fixture
def base(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "kb"))


def refusal(base: Path, candidates: str | None = None) -> str | None:
    """Why it is refused; None if it is not, and then all that it says is read."""
    try:
        with melder.load(base, candidates=candidates, trusted=False) as linker:
            found = linker.link("a red kite", mention="red kite")
            assert isinstance(found, Link)
            entities = list(linker.knowledge_base.entities)
            linker.knowledge_base.search("kite")
            linker.knowledge_base.named("Red kite")
            for entity in entities:
                linker.knowledge_base.entity_picture(entity)
    except MelderError as error:
        return str(error)
    return None


def test_one_that_is_whole_links_as_it_does_otherwise(base: Path) -> None:
    seal(base)
    for candidates in (None, "hnsw"):
        with melder.load(base, candidates=candidates, trusted=False) as linker, melder.load(base) as trusted:
            links = [each.link("a red kite", k=1, mention="red kite") for each in (linker, trusted)]
            assert [link.candidates[0].id for link in links] == [link.candidates[0].id for link in links[::-1]]
    app(["kb", "verify", str(base), "--untrusted", "--candidates", "hnsw"], standalone_mode=False)


@pytest.mark.parametrize("name", DAMAGES)
def test_one_that_was_damaged_and_sealed_again_links_or_is_refused_in_one_line(
    name: str, base: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[str]()
    sys.addaudithook(
        lambda event, arguments: opened.append(str(arguments[0])) if event == "open" and WATCHING else None
    )
    refused = 0
    for seed in range(SEEDS):
        shutil.rmtree(base)
        shutil.copytree(whole, base)
        damage(base, name, seed)
        opened.clear()
        begun = time.process_time()
        WATCHING.append(True)
        try:
            reason = refusal(base)
        finally:
            WATCHING.clear()
        assert time.process_time() - begun < LONGEST, seed
        refused += reason is not None
        assert reason is None or ("\n" not in reason and len(reason) < 2000), (seed, reason)
        elsewhere = {path for path in opened if path.startswith(str(base.parent)) and not path.startswith(str(base))}
        assert not elsewhere, (seed, elsewhere)
        assert "/etc/passwd" not in opened
    assert refused, "nothing was damaged"


WATCHING: list[bool] = []  # an audit hook stays for as long as the process does


@pytest.mark.parametrize("seed", range(3))
def test_a_graph_that_ends_a_process_ends_a_child(base: Path, seed: int) -> None:
    graph = next(base.glob("indexes/*/vectors/graph.usearch"))
    content = bytearray(graph.read_bytes())
    content[200 + 40 * seed :: 7] = os.urandom(len(content[200 + 40 * seed :: 7]))
    graph.write_bytes(content)
    seal(base)
    reason = refusal(base, "hnsw")
    assert reason is None or "\n" not in reason
    graph.write_bytes(bytes(len(content)))
    seal(base)
    assert "cannot be opened safely" in str(refusal(base, "hnsw"))
    assert refusal(base) is None


def test_what_lies_elsewhere_is_named(base: Path, tmp_path: Path) -> None:
    join(tmp_path / "set", [base])
    with pytest.raises(MelderError, match="which is outside the directory"):
        open_knowledge_base(tmp_path / "set", trusted=False)
    (base / "model/more").symlink_to("/etc")
    with pytest.raises(MelderError, match=r"model/more: is a symbolic link, which may lead out"):
        open_knowledge_base(base, trusted=False)


def test_pictures_behind_links_out_of_their_directory_are_refused_by_name(
    small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    secret = Path(shutil.move(data / "images/3.png", tmp_path / "secret.png"))
    (data / "images/3.png").symlink_to(secret)
    source = EntityFile(data / "entities.jsonl", data)
    with pytest.raises(MelderError, match=r"images/3\.png' is a symbolic link out of the directory of pictures"):
        kb_build.build(tmp_path / "kb", source, run=small_run, counting=silent)
    with pytest.raises(MelderError, match=r"3\.png: is a symbolic link out"):
        source.entity_image("images/3.png")
    (data / "images/4.png").unlink()
    (data / "images/4.png").symlink_to("5.png")  # within
    assert source.entity_image("images/4.png").is_file()
    inputs = tmp_path / "mentions.jsonl"
    inputs.write_text('{"mention": "kite", "image": "images/3.png"}\n')
    arguments = [str(small_run), "--data", str(small_data), "--input", str(inputs), "--images", str(data)]
    with pytest.raises(MelderError, match=r"images/3\.png: is a symbolic link out of the directory .*mention '1'"):
        app(["link", *arguments], standalone_mode=False)
