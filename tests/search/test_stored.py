"""Searches that a knowledge base keeps prepared, through additions, removals and compactions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import melder
from melder.building.build import add_entities, build, remove_entities
from melder.data import EntityFile
from melder.kb import KnowledgeBase, Writer, compact, open_knowledge_base
from melder.kb.inspection import information, verify
from melder.kb.shard_list import shard_paths
from melder.kb.shard_split import split
from melder.linking import ExactLinker
from melder.records import Entity, Link, MelderError
from melder.search import bounded as certified
from melder.search import two_stage
from melder.search.stored import find_search, store_search
from melder.search.two_stage import TwoStage
from training.small import read_lines, write_lines

pytestmark = [pytest.mark.usefixtures("small_segments"), pytest.mark.any_processor]
TEXTS = ("a red kite at dusk", "the grey fox", "Blue panda", "kite of the green kind")


def silent(title: str, total: int) -> Any:
    return lambda done: None


@pytest.fixture(scope="module")
def half(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base of eight of the twelve entities."""
    folder = tmp_path_factory.mktemp("half")
    write_lines(folder / "entities.jsonl", read_lines(small_data / "entities.jsonl")[:8])
    build(folder / "kb", EntityFile(folder / "entities.jsonl", small_data), run=small_run, counting=silent)
    return folder / "kb"


@pytest.fixture
def base(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "kb"))


def others(data: Path) -> list[Entity]:
    return [Entity(**record) for record in read_lines(data / "entities.jsonl")[8:]]


def links(base: Path, candidates: str | None) -> list[Link]:
    linker = melder.load(base, candidates=candidates)
    assert isinstance(linker, ExactLinker)
    answers = [linker.link(text, 3) for text in TEXTS]
    assert isinstance(linker.source, KnowledgeBase)
    linker.source.close()
    return answers  # type: ignore[return-value]


def same(found: list[Link], expected: list[Link]) -> None:
    for one, other in zip(found, expected, strict=True):
        scores = [[candidate.score for candidate in link.candidates] for link in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)


@pytest.mark.parametrize("name", ["flat", "certified", "hnsw", "faiss:Flat"])
def test_it_is_exact_through_every_change(name: str, base: Path, small_data: Path) -> None:
    """Of so few entities every one is a candidate of any index."""
    if name not in ("flat", "certified"):
        pytest.importorskip("usearch" if name == "hnsw" else "faiss")
    assert store_search(base, name, silent) == 8
    same(links(base, name), links(base, None))
    remove_entities(base, ["Q1", "Q6"])
    same(links(base, name), links(base, None))
    add_entities(base, others(small_data), EntityFile(small_data / "entities.jsonl"))
    same(links(base, name), links(base, None))
    with Writer.open(base) as writer:
        compact(writer)
        assert len(writer.base) == 10
    same(links(base, name), links(base, None))


def test_what_is_kept_is_opened_and_not_made_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_search(base, "flat", silent)
    monkeypatch.setattr(TwoStage, "indexed", None)
    with pytest.raises(TypeError):
        links(base, "faiss:Flat")
    same(links(base, "flat"), links(base, None))


@pytest.mark.parametrize("name", ["flat", "certified"])
def test_shards_are_searched_by_what_each_of_them_keeps(
    name: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = links(base, name)
    assert split(tmp_path / "set", base, 2) == 2
    for shard in shard_paths(tmp_path / "set"):
        store_search(shard, name, silent)
    with open_knowledge_base(tmp_path / "set") as opened:
        told = information(opened)
        assert (told["shards"], told["indexes"][name]["entities"]) == (2, 8)
    with monkeypatch.context() as patch:
        patch.setattr(two_stage, "collect_index_inputs", None)
        patch.setattr(certified, "collect_index_inputs", None)
        same(links(tmp_path / "set", name), expected)
    remove_entities(shard_paths(tmp_path / "set")[0], ["Q0"])
    assert all(candidate.id != "Q0" for link in links(tmp_path / "set", name) for candidate in link.candidates)


def test_an_index_of_another_matcher_is_not_used(base: Path) -> None:
    store_search(base, "flat", silent)
    with open_knowledge_base(base) as opened:
        linker = melder.load(base)
        assert isinstance(linker, ExactLinker)
        matcher = linker.model.matcher
        found = find_search("flat", matcher, opened)
        assert isinstance(found, TwoStage)
        assert found.parts[0].index is not None
        with torch.no_grad():
            for parameter in matcher.units["text"].parameters():
                parameter.mul_(2)
        (kept,) = opened.indexes("flat")
        shutil.rmtree(kept.path / "vectors")  # which would be missed if it were opened
        find_search("flat", matcher, opened)


def test_information_and_verification_know_it(base: Path) -> None:
    store_search(base, "certified", silent)
    with open_knowledge_base(base) as opened:
        told = information(opened)
        assert told["indexes"]["certified"]["entities"] == 8
        (stored,) = opened.indexes("certified")
        files = [path for path in stored.path.rglob("*") if path.is_file() and path.name != "index.json"]
        assert told["indexes"]["certified"]["bytes"] == sum(path.stat().st_size for path in files) > 0
    assert verify(base, silent) == (8, [])
    spoilt = stored.path / "names" / "weight.npy"
    content = bytearray(spoilt.read_bytes())
    content[-1] ^= 1
    spoilt.write_bytes(content)
    assert [fault.split(": ")[0] for fault in verify(base, silent)[1]] == [str(spoilt)]
    with pytest.raises(MelderError, match="make the index again with `melder kb index`"):
        links(base, "certified")
    same(links(base, "flat"), links(base, None))
    store_search(base, "certified", silent)
    assert verify(base, silent) == (8, [])


def test_only_the_last_index_of_a_search_stays_on_the_disk(base: Path) -> None:
    for _ in range(3):
        store_search(base, "flat", silent)
    store_search(base, "certified", silent)
    assert len(list((base / "indexes").iterdir())) == 2
    with Writer.open(base) as writer:
        writer.remove_index("flat")
    assert len(list((base / "indexes").iterdir())) == 1
    with Writer.open(base) as writer, pytest.raises(MelderError, match="no index for 'flat'; there are: certified"):
        writer.remove_index("flat")


def test_an_index_that_knows_no_segment_any_more_goes(base: Path) -> None:
    store_search(base, "flat", silent)
    remove_entities(base, ["Q0", "Q7"])
    with Writer.open(base) as writer:
        compact(writer)
        assert writer.base.generation.indexes == ()
    assert not list((base / "indexes").iterdir())


def test_what_cannot_be_kept_is_said(base: Path) -> None:
    with pytest.raises(MelderError, match="there is no search 'nearly'"):
        store_search(base, "nearly", silent)
    with pytest.raises(MelderError, match="the database keeps the vectors itself"):
        store_search(base, "milvus:x.db", silent)


@pytest.mark.parametrize("name", ["flat", "certified"])
def test_an_index_of_which_no_entity_is_left_is_made_anew(base: Path, small_data: Path, name: str) -> None:
    store_search(base, name, silent)
    add_entities(base, others(small_data), EntityFile(small_data / "entities.jsonl"))
    remove_entities(base, [f"Q{number}" for number in range(8)])
    same(links(base, name), links(base, None))


@pytest.mark.parametrize("name", ["flat", "certified"])
def test_a_knowledge_base_without_entities_has_no_candidates(base: Path, name: str) -> None:
    remove_entities(base, [f"Q{number}" for number in range(8)])
    assert [link.candidates for link in links(base, name)] == [()] * len(TEXTS)
    with pytest.raises(MelderError, match="there is no search"):
        links(base, "tree")
