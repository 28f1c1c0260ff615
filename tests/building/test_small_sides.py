"""A knowledge base of residuals and merged tokens is built, changed, searched and checked as any other is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import melder
from melder.building.build import add_entities, build, remove_entities
from melder.building.learning import learn
from melder.cli import app
from melder.data import DataSet, EntityFile
from melder.kb import Writer, compact, open_knowledge_base
from melder.kb.inspection import information, verify
from melder.kb.manifest import CODEBOOKS
from melder.kb.shard_split import split
from melder.kb.shards import join
from melder.linking import ExactLinker
from melder.linking.explanation import explain
from melder.records import Link, MelderError, Mention
from melder.runs.directory import open_model
from melder.runs.model import Model
from melder.search.resolver import build_search
from rounding import alike

pytestmark = pytest.mark.usefixtures("small_segments")


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def source(small_data: Path) -> EntityFile:
    return EntityFile(small_data / "entities.jsonl")


@pytest.fixture(scope="module")
def small_base(small_run: Path, source: EntityFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "kb"
    build(path, source, run=small_run, kind="residual2", tokens=2, counting=silent)
    return path


@pytest.fixture
def copied(small_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_base, tmp_path / "kb"))


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [*dataset.split("dev"), *dataset.split("test")]


def linked(path: Path, model: Model, dataset: DataSet, mentions: list[Mention], search: str = "") -> list[Link]:
    with open_knowledge_base(path) as base:
        linker = ExactLinker(model, base, data=dataset)
        if search:
            linker.search = build_search(search, model.matcher, linker.source)
        links = linker.link(mentions, 12)
    assert isinstance(links, list)
    return links


def same(found: list[Link], expected: list[Link]) -> bool:
    return all(alike(one, other) for one, other in zip(found, expected, strict=True))


def furthest(found: list[Link], expected: list[Link]) -> float:
    """The largest difference of a score."""
    pairs = [
        (candidate.score, {other.id: other.score for other in link.candidates}[candidate.id])
        for ours, link in zip(found, expected, strict=True)
        for candidate in ours.candidates
    ]
    return max(abs(one - other) for one, other in pairs)


def test_scores_are_near_those_of_whole_sides(
    small_base: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    expected = ExactLinker(model, dataset).link(mentions, 12)
    assert isinstance(expected, list)
    assert 0 < furthest(linked(small_base, model, dataset, mentions), expected) < 0.7
    with open_knowledge_base(small_base) as base:
        side, told = base.side(torch.arange(12)), information(base)
        assert side["text.query"].shape[1] == side["image.query"].shape[1] == 2
        assert (told["sides"], told["tokens"]) == ("residual2", 2)


@pytest.mark.parametrize("search", ["certified", "flat", "hnsw"])
def test_every_search_answers_as_scoring_all_does(
    search: str, small_base: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    assert same(linked(small_base, model, dataset, mentions, search), linked(small_base, model, dataset, mentions))


def test_what_is_merged_is_not_rounded_again(
    copied: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    remove_entities(copied, ["Q1", "Q5", "Q6"])
    before = linked(copied, model, dataset, mentions)
    with Writer.open(copied) as writer:
        assert len(compact(writer).segments) == 2
    assert same(linked(copied, model, dataset, mentions), before)
    assert verify(copied, silent) == (9, [])


def test_what_is_added_is_stored_by_the_same_codebook(
    copied: Path, small_base: Path, source: EntityFile, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    gone = [entity for entity in dataset.entities if entity.id in ("Q1", "Q5")]
    remove_entities(copied, ["Q1", "Q5"])
    add_entities(copied, gone, source, model=open_model(copied / "model"))
    found, expected = (linked(path, model, dataset, mentions) for path in (copied, small_base))
    assert furthest(found, expected) < 0.05  # a number at the border of two levels may be either
    names = [sorted(path.name for path in (base / CODEBOOKS).iterdir()) for base in (copied, small_base)]
    assert names[0] == names[1]


def test_a_build_that_was_stopped_goes_on_with_its_codebook(copied: Path, small_run: Path, source: EntityFile) -> None:
    segments = sorted((copied / "segments").iterdir())
    expected = {path.name: (path / "sides.bin").read_bytes() for path in segments}
    (book,) = (copied / CODEBOOKS).iterdir()
    before = book.stat().st_mtime_ns
    (copied / "CURRENT").unlink()
    shutil.rmtree(segments[1])
    build(copied, source, run=small_run, kind="residual2", tokens=2, counting=silent)
    assert book.stat().st_mtime_ns == before
    assert {path.name: (path / "sides.bin").read_bytes() for path in (copied / "segments").iterdir()} == expected


def test_a_build_of_another_kind_learns_another_codebook(copied: Path, small_run: Path, source: EntityFile) -> None:
    (book,) = (copied / CODEBOOKS).iterdir()
    (copied / "CURRENT").unlink()
    build(copied, source, run=small_run, kind="residual4", counting=silent)
    (other,) = (copied / CODEBOOKS).iterdir()  # the first is of no generation
    assert other.name != book.name


def test_a_codebook_that_is_damaged_is_named(copied: Path, small_data: Path) -> None:
    (book,) = (copied / CODEBOOKS).iterdir()
    content = bytearray(book.read_bytes())
    content[-1] ^= 1
    book.write_bytes(content)
    (fault,) = verify(copied, silent)[1]
    assert f"{book}: is not what was written" in fault
    with pytest.raises(MelderError, match=r"codebooks/.*\.safetensors: is not what was written"):
        melder.load(copied).link("A red kite was seen", mention="red kite")
    book.unlink()
    with pytest.raises(MelderError, match=r"codebooks/.*\.safetensors: cannot be read"):
        open_knowledge_base(copied)


def test_a_strangers_is_checked_and_linked_to(small_base: Path, copied: Path) -> None:
    link = melder.load(small_base, trusted=False).link("A red kite was seen", mention="red kite")
    assert isinstance(link, Link)
    assert link.candidates[0].id == "Q0"


def test_it_learns_from_mentions(copied: Path, model: Model, dataset: DataSet, mentions: list[Mention]) -> None:
    labelled = [mention for mention in dataset.split("train") if mention.answer is not None][:6]
    items = ExactLinker(model, dataset).items(labelled)
    learn(copied, list(zip(labelled, items, strict=True)), open_model(copied / "model")[0])
    exact = linked(copied, model, dataset, mentions)
    assert all("exemplars" in candidate.units for link in exact for candidate in link.candidates)
    assert same(linked(copied, model, dataset, mentions, "certified"), exact)


def test_shards_have_the_codebook_each(
    small_base: Path,
    small_run: Path,
    source: EntityFile,
    model: Model,
    dataset: DataSet,
    mentions: list[Mention],
    tmp_path: Path,
) -> None:
    split(tmp_path / "set", small_base, 2)
    assert same(linked(tmp_path / "set", model, dataset, mentions), linked(small_base, model, dataset, mentions))
    build(tmp_path / "whole", source, run=small_run, kind="residual2", counting=silent)
    with pytest.raises(MelderError, match=r"tokens are merged there or in .*, but not in both"):
        join(tmp_path / "both", [small_base, tmp_path / "whole"])


def test_no_word_is_said_to_match_a_token_that_is_several(
    small_base: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    with open_knowledge_base(small_base) as base:
        linker = ExactLinker(model, base, data=dataset)
        (link,) = linker.link(mentions[:1], 3)
        explained = explain(linker, mentions[0], link).candidates
    assert not any(candidate.aligned for candidate in explained)
    assert all(candidate.units for candidate in explained)


def test_the_command_says_what_was_stored(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    entities, runner = str(small_data / "entities.jsonl"), CliRunner()
    options = ["--sides", "residual1", "--tokens", "1", "--pictures", "none"]
    made = runner.invoke(
        app, ["kb", "build", str(small_run), "--entities", entities, "--out", f"{tmp_path}/kb", *options]
    )
    assert made.exit_code == 0, made.output
    told = json.loads(runner.invoke(app, ["kb", "info", f"{tmp_path}/kb", "--json"]).stdout)
    assert (told["sides"], told["tokens"]) == ("residual1", 1)
