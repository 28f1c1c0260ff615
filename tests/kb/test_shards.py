"""Shards together are one knowledge base, and no cut of one into shards changes an answer."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import melder
from melder.building.build import add_entities, build, remove_entities
from melder.cli import app
from melder.data import DataSet, EntityFile
from melder.jobs.link_job import job_key
from melder.kb import KnowledgeBase, Writer, open_knowledge_base
from melder.kb.compaction import _contents
from melder.kb.manifest import CURRENT, MODEL, SegmentEntry, publish
from melder.kb.segment import write_segment
from melder.kb.shard_list import shard_paths
from melder.kb.shard_split import split
from melder.kb.shards import ShardedKnowledgeBase, join
from melder.linking import ExactLinker
from melder.linking.nil_calibration import Nil
from melder.linking.sharded import Packed, Processes, ShardWorker, attach_shards
from melder.records import Link, MelderError, Mention
from melder.runs.model import Model
from melder.search.filters import Types

# Each example writes its shards, copies the model into them and links with all; half of them meet every kind of cut.
FEWER = settings(max_examples=settings().max_examples // 2)
pytestmark = pytest.mark.usefixtures("small_segments")
NIL = Nil(
    means={"score": 1.0, "margin": 1.0, "lexical": 0.0, "picture": 0.5},
    scales={"score": 1.0, "margin": 1.0, "lexical": 1.0, "picture": 1.0},
    weights={"score": -1.0, "margin": -1.0, "lexical": -1.0, "picture": 0.1},
    intercept=0.1,
    share=0.5,
    mentions=1,
    candidates=12,
    data="made",
    split="dev",
)


@pytest.fixture(scope="module")
def whole(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve creatures in three segments, one of which is dead, and two namesakes of others."""
    out, source = tmp_path_factory.mktemp("whole") / "kb", EntityFile(small_data / "entities.jsonl")
    build(out, source, run=small_run, kind="float32", counting=lambda *_: lambda done: None)
    NIL.write(out)
    with open_knowledge_base(out) as base:
        twins = [entity.model_copy(update={"id": f"{entity.id}-twin"}) for entity in base.records([2, 7])]
    add_entities(out, twins, source)
    remove_entities(out, ["Q5"])
    return out


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [each for each in (*dataset.split("train"), *dataset.split("dev")) if each.answer != "Q5"]


class Answers:
    """Links, ranks and namesakes, by ids."""

    def __init__(self, linker: Any, base: KnowledgeBase, mentions: Sequence[Mention]) -> None:
        self.links, ranks = linker.links_and_ranks(mentions, 13)
        self.ranks = np.stack([ranks.optimistic, ranks.pessimistic])
        found: list[Link] = linker.link(mentions, k=4)
        self.nil = [link.nil_probability for link in found]
        self.named = {name: {base.entities[row].id for row in base.named(name)} for name in NAMES}
        self.found = {name: {base.entities[row].id for row in base.search(name, 13)} for name in NAMES}


NAMES = ("red panda", "grey kite", "panda")


@pytest.fixture(scope="module")
def expected(whole: Path, model: Model, dataset: DataSet, mentions: list[Mention]) -> Answers:
    return answers(whole, model, dataset, mentions)


def answers(path: Path, model: Model, data: DataSet, mentions: Sequence[Mention]) -> Answers:
    with open_knowledge_base(path) as base:
        base.check_model()
        return Answers(ExactLinker(model, base, data=data, nil=NIL), base, mentions)


def same(one: Sequence[Link], other: Sequence[Link]) -> None:
    """The same entities with the same scores; of entities whose scores are as good as equal either may come first."""
    for ours, theirs in zip(one, other, strict=True):
        mine, yours = ({each.id: each for each in link.candidates} for link in (ours, theirs))
        assert [each.score for each in ours.candidates] == pytest.approx(
            [each.score for each in theirs.candidates], abs=1e-5
        )
        last = theirs.candidates[-1].score
        for name in mine.keys() ^ yours.keys():
            assert (mine.get(name) or yours[name]).score == pytest.approx(last, abs=1e-5)
        for name in mine.keys() & yours.keys():
            assert mine[name].score == pytest.approx(yours[name].score, abs=1e-5)
            assert mine[name].units == pytest.approx(yours[name].units, abs=1e-5)


def cut(whole: Path, groups: Sequence[Sequence[int]], out: Path) -> Path:
    """Shards with these rows of a knowledge base, nothing of which is encoded again."""
    paths = [out / f"{number}" for number in range(len(groups))]
    with open_knowledge_base(whole) as base:
        for path, entity_rows in zip(paths, groups, strict=True):
            rows = [base._place(entity_row) for entity_row in entity_rows]
            contents = _contents(base, [(part, np.array([row])) for part, row in rows])
            digest = write_segment(path / "segments" / "000001-000000000000", contents, "float32")
            shutil.copytree(base.model, path / MODEL)
            listed = SegmentEntry(name="000001-000000000000", rows=len(entity_rows), digest=digest)
            publish(path, 1, base.generation.settings, (listed,))
    join(out / "all", paths)
    return out / "all"


Cutting = Callable[[Sequence[Sequence[int]]], AbstractContextManager[Path]]


@pytest.fixture(scope="module")
def cut_up(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Cutting:
    """`whole` in shards with these rows, in a directory of its own that is removed again."""
    numbers, root = count(), tmp_path_factory.mktemp("cuts")

    @contextmanager
    def cutting(groups: Sequence[Sequence[int]]) -> Iterator[Path]:
        out = root / f"{next(numbers)}"
        yield cut(whole, groups, out)
        shutil.rmtree(out)

    return cutting


@some.composite
def cuts(draw: some.DrawFn) -> list[list[int]]:
    """The thirteen rows in any order, cut anywhere into one to six groups."""
    order = draw(some.permutations(range(13)))
    edges = [0, *sorted(draw(some.sets(some.integers(1, 12), max_size=5))), 13]
    return [list(order[start:stop]) for start, stop in pairwise(edges)]


@FEWER
@given(groups=cuts())
def test_any_cut_into_shards_gives_the_same_answers(
    groups: list[list[int]], cut_up: Cutting, expected: Answers, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    with cut_up(groups) as path:
        found = answers(path, model, dataset, mentions[::4])
    same(found.links, expected.links[::4])
    assert found.nil == pytest.approx(expected.nil[::4], abs=1e-5)
    assert found.named == expected.named
    assert found.found == expected.found


@FEWER
@given(groups=cuts(), k=some.integers(1, 13))
def test_shards_that_are_searched_apart_merge_to_the_same(
    groups: list[list[int]],
    k: int,
    cut_up: Cutting,
    whole: Path,
    model: Model,
    dataset: DataSet,
    mentions: list[Mention],
) -> None:
    with cut_up(groups) as path:
        one, all_, *shards = (
            ExactLinker(model, open_knowledge_base(each), data=dataset) for each in (whole, path, *shard_paths(path))
        )
        attach_shards(all_, Here([ShardWorker(shard) for shard in shards]))
        same(all_.link(mentions[:9], k), one.link(mentions[:9], k))  # type: ignore[arg-type]
        for linker in (one, all_, *shards):
            assert isinstance(linker.knowledge_base, KnowledgeBase)
            linker.knowledge_base.close()


class Here:
    """Shards in this process."""

    def __init__(self, servers: list[ShardWorker]) -> None:
        self.servers, self.sizes = servers, [len(server) for server in servers]

    def best(self, mentions: dict[str, np.ndarray], k: int, types: Types | None) -> list[Packed]:
        return [server.best(mentions, k, types) for server in self.servers]


def test_processes_serve_shards_and_one_that_has_ended_is_told_of(
    whole: Path, tmp_path: Path, mentions: list[Mention]
) -> None:
    assert split(tmp_path / "parts", whole, 2) == 2
    asked = [each.model_copy(update={"image": None}) for each in mentions[:8]]
    processes = Processes(shard_paths(tmp_path / "parts"))
    try:
        linker = attach_shards(melder.load(tmp_path / "parts"), processes)  # type: ignore[arg-type]
        same(linker.link(asked, k=6), melder.load(whole).link(asked, k=6))  # type: ignore[arg-type]
        multiprocessing.active_children()[0].kill()
        for _ in range(2):
            with pytest.raises(MelderError, match="the process of a shard has ended"):
                linker.link("a red kite")
    finally:
        processes.close()
    assert not multiprocessing.active_children()


def test_no_process_stays_where_one_cannot_open_its_shard(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match="there is no such directory"):
        Processes([whole, tmp_path / "nowhere"])
    assert not multiprocessing.active_children()


def test_a_shard_without_entities_changes_nothing(whole: Path, tmp_path: Path, model: Model) -> None:
    split(tmp_path / "parts", whole, 2)
    shutil.copytree(tmp_path / "parts/shard-000", tmp_path / "empty")
    with open_knowledge_base(tmp_path / "empty") as base:
        remove_entities(tmp_path / "empty", [entity.id for entity in base.entities])
    paths = [tmp_path / "parts/shard-000", tmp_path / "empty", tmp_path / "parts/shard-001"]
    assert join(tmp_path / "all", paths) == 13
    expected, linker = melder.load(whole).link("a red kite", 13), melder.load(tmp_path / "all")
    same([linker.link("a red kite", 13)], [expected])  # type: ignore[list-item]
    attach_shards(linker, Here([ShardWorker.open(path) for path in paths]))  # type: ignore[arg-type]
    same([linker.link("a red kite", 13)], [expected])  # type: ignore[list-item]


def test_the_command_line_links_to_a_set_and_goes_on_only_with_the_same_one(
    whole: Path, tmp_path: Path, small_data: Path
) -> None:
    app(["kb", "shard", str(tmp_path / "parts"), str(whole), "--split", "2"], standalone_mode=False)
    arguments = ["--input", str(small_data / "dev.jsonl"), "--output"]
    for name, base in (("ours.jsonl", tmp_path / "parts"), ("theirs.jsonl", whole)):
        app(["link", str(base), *arguments, str(tmp_path / name)], standalone_mode=False)
    ours, theirs = (links_in(tmp_path / name) for name in ("ours.jsonl", "theirs.jsonl"))
    same(ours, theirs)
    before = job_key(tmp_path / "parts", None)
    assert job_key(tmp_path / "parts", None) == before
    remove_entities(tmp_path / "parts/shard-001", ["Q11"])
    assert job_key(tmp_path / "parts", None) != before
    app(["kb", "verify", str(tmp_path / "parts")], standalone_mode=False)
    (segment,) = (tmp_path / "parts/shard-000/segments").glob("000000-*")
    (segment / "sides.bin").write_bytes(b"x")
    with pytest.raises(MelderError, match=r"sides\.bin: has 1 bytes"):
        app(["kb", "verify", str(tmp_path / "parts")], standalone_mode=False)


def links_in(path: Path) -> list[Link]:
    return [Link.model_validate_json(line) for line in path.read_text().splitlines()]


def test_ranks_are_those_of_the_whole(
    whole: Path, expected: Answers, model: Model, dataset: DataSet, tmp_path: Path, mentions: list[Mention]
) -> None:
    split(tmp_path / "parts", whole, 9)
    found = answers(tmp_path / "parts", model, dataset, mentions)
    same(found.links, expected.links)
    assert np.array_equal(found.ranks, expected.ranks)


def test_a_cut_has_all_segments_and_leaves_the_whole_alone(whole: Path, tmp_path: Path) -> None:
    before = (whole / CURRENT).read_text()
    assert split(tmp_path / "parts", whole, 100) == 4
    with open_knowledge_base(tmp_path / "parts") as base, open_knowledge_base(whole) as one:
        assert isinstance(base, ShardedKnowledgeBase)
        assert list(base.entities) == list(one.entities)
        assert base.rows(["Q5"]) == {}
    assert (whole / CURRENT).read_text() == before


def test_a_shard_can_be_changed_and_the_set_is_told(whole: Path, tmp_path: Path, small_data: Path) -> None:
    split(tmp_path / "parts", whole, 2)
    with open_knowledge_base(tmp_path / "parts") as base:
        assert base.is_current
        remove_entities(tmp_path / "parts/shard-001", ["Q11"])
        assert not base.is_current
    with open_knowledge_base(tmp_path / "parts") as base:
        assert (len(base), base.rows(["Q11"])) == (12, {})
    with pytest.raises(MelderError, match=r"is a set of shards; name the one of them"), Writer.open(tmp_path / "parts"):
        pass
    with open_knowledge_base(tmp_path / "parts") as base:
        join(tmp_path / "parts", [tmp_path / "parts/shard-000"])
        assert not base.is_current


def test_a_cut_goes_on_where_it_was_stopped_unless_it_is_another(whole: Path, tmp_path: Path) -> None:
    split(tmp_path / "parts", whole, 3)
    shutil.rmtree(tmp_path / "parts/shard-001")
    (tmp_path / "parts/shards.json").unlink()
    (tmp_path / "parts/shard-001.part").mkdir()
    assert split(tmp_path / "parts", whole, 3) == 3
    with open_knowledge_base(tmp_path / "parts") as base, open_knowledge_base(whole) as one:
        assert list(base.entities) == list(one.entities)
    with pytest.raises(MelderError, match=r"shard-000: is there already, and is of another cut"):
        split(tmp_path / "parts", whole, 2)


def test_a_set_takes_the_place_of_no_knowledge_base_and_holds_no_set(
    whole: Path, tmp_path: Path, small_run: Path, small_data: Path
) -> None:
    shutil.copytree(whole, tmp_path / "kb")
    split(tmp_path / "parts", whole, 2)
    for refused in (
        lambda: join(tmp_path / "kb", [whole]),
        lambda: split(tmp_path / "kb", whole, 2),
    ):
        with pytest.raises(MelderError, match="kb: is a knowledge base itself; name another directory"):
            refused()
    for refused in (
        lambda: join(tmp_path / "all", [tmp_path / "parts"]),
        lambda: split(tmp_path / "all", tmp_path / "parts", 2),
    ):
        with pytest.raises(MelderError, match="parts: is a set of shards itself; name the knowledge bases"):
            refused()
    with pytest.raises(MelderError, match="parts: is a set of shards; name another directory"):
        build(
            tmp_path / "parts",
            EntityFile(small_data / "entities.jsonl"),
            run=small_run,
            counting=lambda *_: lambda _: None,
        )
    assert len(melder.load(tmp_path / "kb").entities) == len(melder.load(tmp_path / "parts").entities) == 13


def test_what_does_not_fit_together_is_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "copy")
    with pytest.raises(MelderError, match=r"copy: holds 'Q0', as .* does; remove it from one of them"):
        join(tmp_path / "all", [whole, tmp_path / "copy"])
    with open_knowledge_base(whole) as base:
        identity = base.generation.settings.identity.model_copy(update={"encoder": "clip:other"})
        settings = base.generation.settings.model_copy(update={"identity": identity})
        publish(tmp_path / "copy", 9, settings, base.generation.segments)
    with pytest.raises(MelderError, match=r"copy: has another model than .*; build each shard with the same run"):
        join(tmp_path / "all", [whole, tmp_path / "copy"])
    assert not (tmp_path / "all").exists()
    (tmp_path / "all").mkdir()
    (tmp_path / "all/shards.json").write_text('{"shards": []}')
    with pytest.raises(MelderError, match=r"shards\.json: is no list of shards"):
        melder.load(tmp_path / "all")
