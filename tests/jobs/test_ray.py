"""A build and a linking job on a cluster: what they write is what one machine writes, whatever dies meanwhile."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.killing import kill_a_worker
from melder.building.build import Built, build
from melder.data import EntityFile
from melder.evaluation.overlap import TOP, overlap_at_k
from melder.export.annotated_text import LinkedMention
from melder.export.formats import WriterOptions
from melder.io.problems import Problems
from melder.jobs.mention_file import links_of, written
from melder.jobs.mention_reader import mentions_of
from melder.jobs.ray import link as scale_link
from melder.jobs.ray.build import segments_on
from melder.jobs.ray.cluster import connected, counts
from melder.jobs.ray.link import ShardJob, link_on
from melder.jobs.ray.shards import Actors
from melder.kb.shard_list import shard_paths
from melder.kb.shard_split import split
from melder.linking.load import load
from melder.linking.sharded import attach_shards
from melder.records import BadRecord, Link, MelderError, Mention
from melder.search.stored import store_search
from melder.search.two_stage import TwoStage
from training.small import read_lines, write_lines

ray = pytest.importorskip("ray", reason="needs melder[scale]")
pytest.importorskip("ray.data", reason="needs melder[scale]")
pyarrow = pytest.importorskip("pyarrow", reason="needs melder[scale]")
pytest.importorskip("pyarrow.parquet")

ROWS, CHUNK = 16, 8


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module", autouse=True)
def _small_shards() -> Iterator[None]:
    """Segments of two chunks; one thread, as each worker has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("melder.building.build.SEGMENT_ROWS", ROWS)
        for module in ("melder.runs.model", "melder.jobs.ray.build"):
            patch.setattr(f"{module}.CHUNK", CHUNK)
        patch.setattr("melder.jobs.ray.link.SHARD_ROWS", ROWS)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def entities(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> EntityFile:
    """76 entities, four segments and a part of one, with texts of unequal lengths; one has a picture that is none."""
    records = read_lines(small_data / "entities.jsonl")
    many = [
        record | {"id": f"{number}-{record['id']}", "description": " ".join([record["description"]] * (1 + number % 4))}
        for number in range(7)
        for record in records
    ][:76]
    many[20] |= {"images": ["train.jsonl"]}
    path = tmp_path_factory.mktemp("entities") / "entities.jsonl"
    write_lines(path, many)
    return EntityFile(path, small_data)


@pytest.fixture(scope="module")
def alone(entities: EntityFile, small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Built]:
    """What one machine makes of them."""
    out = tmp_path_factory.mktemp("alone") / "kb"
    return out, build(out, entities, run=small_run, skip_bad=True, counting=silent)


@pytest.fixture(scope="module")
def together(
    cluster: str, entities: EntityFile, small_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Built]:
    """What three workers make of them."""
    out, write = tmp_path_factory.mktemp("together") / "kb", segments_on(cluster, workers=3, threads=1)
    return out, build(out, entities, run=small_run, skip_bad=True, counting=silent, write=write)


def contents(directory: Path) -> dict[str, bytes]:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def segments(directory: Path) -> set[str]:
    return {path.name for path in (directory / "segments").glob("*") if len(path.name) == 19}


def test_whatever_the_number_of_workers_the_bytes_are_those_of_one_machine(
    alone: tuple[Path, Built],
    together: tuple[Path, Built],  # of three workers; the next tests have two, and one
) -> None:
    assert together[1] == alone[1]
    assert len(together[1].unreadable) == 1
    assert contents(together[0]) == contents(alone[0])


def test_a_killed_worker_loses_and_repeats_nothing(
    cluster: str, alone: tuple[Path, Built], entities: EntityFile, small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "kb"
    killed = kill_a_worker("EncodeChunk")
    done: list[int] = []
    write = segments_on(cluster, workers=2, threads=1)
    build(out, entities, run=small_run, skip_bad=True, counting=lambda *_: done.append, write=write)
    assert killed
    assert sum(done) == 76
    assert contents(out) == contents(alone[0])


def test_a_job_that_was_stopped_goes_on(
    cluster: str, alone: tuple[Path, Built], entities: EntityFile, small_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "kb"

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    write = segments_on(cluster, workers=1, threads=1)
    with pytest.raises(KeyboardInterrupt):
        build(out, entities, run=small_run, skip_bad=True, counting=lambda *_: stop, write=write)
    before = {name: (out / "segments" / name).stat().st_mtime_ns for name in segments(out)}
    assert 0 < len(before) <= 5
    build(out, entities, run=small_run, skip_bad=True, counting=silent, write=write)
    assert contents(out) == contents(alone[0])
    for name, time_written in before.items():
        assert (out / "segments" / name).stat().st_mtime_ns == time_written


def test_a_bad_picture_is_named_as_on_one_machine(
    cluster: str, entities: EntityFile, small_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(MelderError) as here:
        build(tmp_path / "one", entities, run=small_run, counting=silent)
    with pytest.raises(MelderError) as there:
        build(tmp_path / "many", entities, run=small_run, counting=silent, write=segments_on(cluster, workers=1))
    assert str(there.value) == str(here.value)
    assert "train.jsonl" in str(there.value)


def test_nothing_asks_ray_once_a_job_that_was_stopped_has_ended_its_connection(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would end this whole process. The thread that reads answers is slow here, as on a machine with much to do."""
    connections, get, next_one = list[bool](), ray.get, threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread().name == "iter_threaded":
            if connections:
                next_one.set()
                time.sleep(2)
            connections.append(ray.is_initialized())
            if not connections[-1]:
                raise InterruptedError("Ray would have ended the process")
        return get(*arguments, **options)

    def stopped() -> None:
        with connected(cluster, 1, 1, spare=1):
            monkeypatch.setattr(ray, "get", slow)
            answers = ray.data.from_items([{"rows": 1, "error": ""}] * 8, override_num_blocks=8).map(lambda row: row)
            for _ in counts(answers):
                assert next_one.wait(300)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    time.sleep(3)
    assert connections == [True, True]


def test_more_workers_than_fit_are_refused(cluster: str) -> None:
    with (
        pytest.raises(MelderError, match="has 4 CPUs and 0 GPUs, too few for 4 workers of 1 threads and 1 CPUs"),
        connected(cluster, 4, 1, spare=1),
    ):
        pass


@pytest.fixture(scope="module")
def mentions(small_data: Path) -> list[Mention]:
    records = [Mention(**record) for split in ("train", "dev") for record in read_lines(small_data / f"{split}.jsonl")]
    return [*records, records[0].model_copy(update={"id": "broken", "image": "train.jsonl"})]


@pytest.fixture
def job(alone: tuple[Path, Built], small_data: Path) -> ShardJob:
    return ShardJob.of(alone[0], small_data, 5, candidates=None, settings=(), types=(), threshold=None)


def few_candidates(directory: Path, candidates: str, mentions: list[Mention]) -> list[Link]:
    """The ten best, of no more than ten that the index finds: what it misses is missing."""
    linker = load(directory, candidates=candidates)
    assert isinstance(linker.search, TwoStage)
    linker.search.near = linker.search.named = TOP
    return linker.link([each.model_copy(update={"image": None}) for each in mentions], TOP)


def test_an_index_of_what_a_cluster_built_answers_as_one_of_what_one_machine_built(
    alone: tuple[Path, Built], together: tuple[Path, Built], mentions: list[Mention], tmp_path: Path
) -> None:
    """Indexes are no function of the bytes: they are compared by their recall against the flat one."""
    pytest.importorskip("usearch", reason="needs melder[index]")
    exact, recall = few_candidates(alone[0], "flat", mentions), dict[str, float]()
    for name, (built, _) in {"alone": alone, "together": together}.items():
        directory = shutil.copytree(built, tmp_path / name)
        assert store_search(directory, "hnsw", silent) == 76
        recall[name] = overlap_at_k(exact, few_candidates(directory, "hnsw", mentions))["top_10"]
    assert recall["together"] == pytest.approx(recall["alone"], abs=0.002)
    assert recall["together"] == pytest.approx(1, abs=0.002)


def links_alone(job: ShardJob, mentions: list[Mention], path: Path) -> bytes:
    linker = load(job.knowledge_base)
    linker.model.encoder.on_unreadable = lambda item, error: None
    with written(path, WriterOptions(job.k)) as file:
        for start in range(0, len(mentions), ROWS):
            for block in links_of(linker, mentions[start : start + ROWS], job.folder, job.k):
                file.write(LinkedMention(Mention(id=link.id), link) for link in block)
    return path.read_bytes()


def test_links_are_those_of_one_machine_although_a_worker_dies(
    cluster: str, job: ShardJob, mentions: list[Mention], tmp_path: Path
) -> None:
    expected, output, done = links_alone(job, mentions, tmp_path / "one.jsonl"), tmp_path / "many.jsonl", list[int]()
    killed = kill_a_worker("LinkShard")
    unreadable = link_on(cluster, job, iter(mentions), output, done.append, workers=2)
    assert killed
    assert sum(done) == len(mentions)
    assert output.read_bytes() == expected
    assert list(unreadable) == [str(job.folder / "train.jsonl")]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["many.jsonl", "one.jsonl"]


def test_a_linking_job_that_was_stopped_goes_on_and_parquet_goes_in_and_out(
    cluster: str, job: ShardJob, mentions: list[Mention], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [mention.model_dump() for mention in mentions[:40]]
    rows[3] |= {"start": 3, "end": None}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "mentions.parquet")
    problems, good = Problems(), [*mentions[:3], *mentions[4:40]]
    assert list(mentions_of(tmp_path / "mentions.parquet", problems)) == good
    assert [(type(each), each.number) for each in problems.records] == [(BadRecord, 4)]
    output, again = tmp_path / "links.parquet", dict[Path, int]()

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        link_on(cluster, job, iter(good), output, stop, workers=1)
    assert not output.exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "links.parquet.shards").glob("*[0-9a-f].jsonl")}
    assert kept
    monkeypatch.setattr(
        scale_link, "remove", lambda shards: again.update({path: path.stat().st_mtime_ns for path in shards.iterdir()})
    )
    link_on(cluster, job, mentions_of(tmp_path / "mentions.parquet", Problems()), output, lambda done: None, workers=1)
    assert kept.items() <= again.items()
    links_alone(job, good, tmp_path / "one.parquet")
    found, expected = (pyarrow.parquet.read_table(path).to_pylist() for path in (output, tmp_path / "one.parquet"))
    assert found == expected
    assert [row["id"] for row in found] == [mention.id for mention in good]


def test_actors_serve_shards(cluster: str, alone: tuple[Path, Built], mentions: list[Mention], tmp_path: Path) -> None:
    split(tmp_path / "parts", alone[0], 2)
    linkers = [load(path) for path in (alone[0], tmp_path / "parts")]
    with connected(cluster, 2, 1, spare=0) as size:
        attach_shards(linkers[1], Actors(size, shard_paths(tmp_path / "parts")))  # type: ignore[arg-type]
        answers = [
            linker.link([each.model_copy(update={"image": None}) for each in mentions[:9]]) for linker in linkers
        ]
    for ours, theirs in zip(*answers, strict=True):  # of copies with the same score any may come first
        assert [each.score for each in ours.candidates] == pytest.approx([each.score for each in theirs.candidates])
        known = {each.id: each.score for each in theirs.candidates}
        for each in ours.candidates:
            assert each.score == pytest.approx(known.get(each.id, theirs.candidates[-1].score))


def test_a_cluster_that_is_not_there_is_named() -> None:
    refused = pytest.raises(MelderError, match=r"--ray 127\.0\.0\.2:1: no cluster answers")
    with refused, connected("127.0.0.2:1", 1, 1, spare=0):
        pass
