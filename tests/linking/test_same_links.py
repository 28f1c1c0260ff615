"""Links are the same to rounding, whatever stands beside a mention, and wherever entities and features are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import melder
from melder.building import build as kb_build
from melder.data import DataSet, EntityFile
from melder.encoders.store import load_features, save_features
from melder.kb.shard_split import split
from melder.linking import ExactLinker
from melder.protocols import Linker
from melder.records import Link, Mention
from melder.runs.feature_cache import StoredFeatures
from melder.runs.model import Model
from rounding import alike

K = 5
TOKENS = 16 << 13  # roundings of float32 that are sixteen of float16


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [*dataset.split("dev"), *dataset.split("test")]


@pytest.fixture(scope="module")
def expected(model: Model, dataset: DataSet, mentions: list[Mention]) -> dict[str, Link]:
    """The links of mentions that are alone, by one thread, to entities that are encoded now."""
    linker = ExactLinker(model, dataset)
    return {mention.id: linker.link([mention], K)[0] for mention in mentions}


@pytest.fixture(scope="module")
def linkers(
    model: Model,
    dataset: DataSet,
    small_run: Path,
    small_data: Path,
    small_segments: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Linker]]:
    """The same entities encoded now, in a knowledge base of several segments, and in one that is cut into shards."""
    here = tmp_path_factory.mktemp("same")
    source = EntityFile(small_data / "entities.jsonl", small_data)
    kb_build.build(here / "kb", source, run=small_run, kind="float32", counting=silent)
    split(here / "shards", here / "kb", 3)
    opened = {name: melder.load(here / name) for name in ("kb", "shards")}
    for linker in opened.values():
        linker.pictures = dataset  # type: ignore[attr-defined]
        linker.data = dataset  # type: ignore[misc]
    yield {"data": ExactLinker(model, dataset), **opened}
    for linker in opened.values():
        linker.close()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(st.integers(0, 23), min_size=1, max_size=24), threads=st.sampled_from([1, 2]), name=st.data())
def test_whatever_the_batch_the_order_the_threads_and_the_place(
    linkers: dict[str, Linker],
    expected: dict[str, Link],
    mentions: list[Mention],
    chosen: list[int],
    threads: int,
    name: st.DataObject,
) -> None:
    linker = linkers[name.draw(st.sampled_from(sorted(linkers)))]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        links = linker.link([mentions[place] for place in chosen], K)
    finally:
        torch.set_num_threads(before)
    assert isinstance(links, list)
    assert [link.id for link in links] == [mentions[place].id for place in chosen]
    for link in links:
        assert alike(link, expected[link.id])


@pytest.mark.parametrize("search", ["flat", "certified"])
def test_whatever_search_finds_them(
    linkers: dict[str, Linker], expected: dict[str, Link], mentions: list[Mention], tmp_path: Path, search: str
) -> None:
    directory = linkers["kb"].knowledge_base.directory
    with melder.load(directory, candidates=search) as linker:
        linker.pictures = linkers["kb"].pictures  # type: ignore[attr-defined]
        links = linker.link(mentions, K)
    assert all(alike(link, expected[link.id]) for link in links)


def test_whether_features_are_encoded_now_or_were_stored(
    model: Model,
    dataset: DataSet,
    expected: dict[str, Link],
    mentions: list[Mention],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is stored has its tokens in float16: links are the same to some roundings of these."""
    linker = ExactLinker(model, dataset)
    items, ids = linker.items(mentions), [mention.id for mention in mentions]
    save_features(model.features(items), tmp_path, ids=ids, fingerprint="f")
    stored = StoredFeatures()
    surfaces = [item.surfaces for item in items]
    stored.add(items, load_features(tmp_path, ids=ids, fingerprint="f", surfaces=surfaces))
    monkeypatch.setattr(model, "stored", stored)
    monkeypatch.setattr("melder.runs.model.encode_chunks", None)  # nothing is encoded
    links = linker.link(mentions, K)
    assert all(alike(link, expected[link.id], TOKENS) for link in links)
