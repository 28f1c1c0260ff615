"""A knowledge base that learns from labelled mentions: what it keeps through every change; all readers agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import melder
from melder.building.build import add_entities, build, remove_entities
from melder.building.learning import forget
from melder.data import DataSet, EntityFile
from melder.kb import Writer, compact, open_knowledge_base
from melder.kb.exemplars import RECORDS
from melder.kb.format.packing import StorageDtype
from melder.kb.inspection import information, verify
from melder.kb.manifest import EXEMPLARS
from melder.kb.shard_split import split
from melder.kb.shards import join
from melder.linking import ExactLinker
from melder.linking.opening import searching
from melder.linking.sharded import Processes, attach_shards
from melder.records import BadData, Link, MelderError, Mention
from melder.runs.model import Model
from rounding import SCORE, alike, close

pytestmark = pytest.mark.usefixtures("small_segments")


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def labelled(dataset: DataSet) -> list[Mention]:
    return [mention for mention in dataset.split("train") if mention.answer is not None]


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [mention for mention in dataset.split("dev") if mention.answer is not None]


@pytest.fixture(scope="module")
def plain(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "kb"
    build(out, EntityFile(small_data / "entities.jsonl"), run=small_run, kind="float32", counting=silent)
    return out


@pytest.fixture(scope="module")
def taught(
    plain: Path, model: Model, dataset: DataSet, labelled: list[Mention], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = Path(shutil.copytree(plain, tmp_path_factory.mktemp("taught") / "kb"))
    with open_knowledge_base(out) as base:
        linker = ExactLinker(model, base, data=dataset)
        linker.learn(labelled[:25])
        linker.learn(labelled[25:])
    return out


@pytest.fixture
def directory(taught: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(taught, tmp_path / "kb"))


def linked(
    path: Path, model: Model, dataset: DataSet, mentions: list[Mention], search: str | None = None
) -> list[Link]:
    with open_knowledge_base(path) as base:
        linker = searching(ExactLinker(model, base, data=dataset), search)
        found = linker.link(mentions, k=12)
        assert isinstance(found, list)
        return found


def same(found: list[Link], expected: list[Link]) -> bool:
    return all(alike(one, other) for one, other in zip(found, expected, strict=True))


def learned(path: Path) -> int:
    with open_knowledge_base(path) as base:
        return len(base.exemplars)


def test_what_is_learned_changes_links_and_a_reader_from_before_keeps_to_its_generation(
    plain: Path, model: Model, dataset: DataSet, labelled: list[Mention], mentions: list[Mention], tmp_path: Path
) -> None:
    path = Path(shutil.copytree(plain, tmp_path / "kb"))
    expected = linked(plain, model, dataset, mentions)
    with open_knowledge_base(path) as before, open_knowledge_base(path) as base:
        linker = ExactLinker(model, base, data=dataset)
        result = linker.learn(labelled)
        assert (result.corrected, result.added + result.known) == (0, len(labelled))
        now = linker.link(mentions, k=12)
        assert not same(now, expected)  # type: ignore[arg-type]
        assert same(ExactLinker(model, before, data=dataset).link(mentions, k=12), expected)  # type: ignore[arg-type]
    again = linked(path, model, dataset, mentions)
    assert same(again, now)  # type: ignore[arg-type]
    assert all("exemplars" in candidate.units for link in again for candidate in link.candidates)
    for link in again:
        for candidate in link.candidates:
            assert close(sum(candidate.units.values()), candidate.score, SCORE)


def test_a_linker_over_a_data_set_learns_for_as_long_as_it_lives(
    taught: Path, model: Model, dataset: DataSet, labelled: list[Mention], mentions: list[Mention]
) -> None:
    linker = ExactLinker(model, dataset)
    expected = linker.link(mentions, k=12)
    linker.learn(labelled)
    found = linker.link(mentions, k=12)
    assert same(found, linked(taught, model, dataset, mentions))  # type: ignore[arg-type]
    assert not same(found, expected)  # type: ignore[arg-type]
    assert same(ExactLinker(model, dataset).link(mentions, k=12), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("search", ["certified", "flat", "hnsw"])
def test_every_search_answers_as_scoring_all_does(
    search: str, taught: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    assert same(linked(taught, model, dataset, mentions, search), linked(taught, model, dataset, mentions))


@pytest.mark.parametrize(("kind", "error"), [("float16", 0.02), ("int8", 0.2)])
def test_smaller_types_are_close(
    kind: StorageDtype,
    error: float,
    taught: Path,
    small_run: Path,
    small_data: Path,
    model: Model,
    dataset: DataSet,
    labelled: list[Mention],
    mentions: list[Mention],
    tmp_path: Path,
) -> None:
    build(tmp_path / "kb", EntityFile(small_data / "entities.jsonl"), run=small_run, kind=kind, counting=silent)
    with open_knowledge_base(tmp_path / "kb") as base:
        ExactLinker(model, base, data=dataset).learn(labelled)
    exact, rounded = (linked(path, model, dataset, mentions) for path in (taught, tmp_path / "kb"))
    for one, other in zip(rounded, exact, strict=True):
        expected = {candidate.id: candidate.score for candidate in other.candidates}
        assert all(abs(candidate.score - expected[candidate.id]) < error for candidate in one.candidates)


def test_ranks_are_those_of_the_links(taught: Path, model: Model, dataset: DataSet, mentions: list[Mention]) -> None:
    with open_knowledge_base(taught) as base:
        links, ranks = ExactLinker(model, base, data=dataset).links_and_ranks(mentions, 12)
    places = [
        [candidate.id for candidate in link.candidates].index(str(mention.answer)) + 1
        for link, mention in zip(links, mentions, strict=True)
    ]
    assert ((ranks.optimistic <= places) & (places <= ranks.pessimistic)).all()


@pytest.mark.parametrize("search", [None, "certified", "flat"])
def test_types_are_kept_to(
    search: str | None, directory: Path, small_data: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    with open_knowledge_base(directory) as base:
        typed = [entity.model_copy(update={"types": ("odd",)}) for entity in base.records([1, 3, 5, 7])]
    add_entities(directory, typed, EntityFile(small_data / "entities.jsonl"), replace=True)
    expected = linked(directory, model, dataset, mentions)
    with open_knowledge_base(directory) as base:
        linker = searching(ExactLinker(model, base, data=dataset), search)
        links = linker.link(mentions, k=12, types="odd")
    for link, every in zip(links, expected, strict=True):  # type: ignore[arg-type]
        scores = {candidate.id: candidate.score for candidate in every.candidates}
        assert {candidate.id for candidate in link.candidates} == {entity.id for entity in typed}
        assert all(close(candidate.score, scores[candidate.id], SCORE) for candidate in link.candidates)


def test_the_same_again_changes_nothing_and_another_answer_is_a_correction(
    directory: Path, model: Model, dataset: DataSet, labelled: list[Mention]
) -> None:
    before = learned(directory)
    with open_knowledge_base(directory) as base:
        linker = ExactLinker(model, base, data=dataset)
        version = base.version
        assert (linker.learn(labelled).added, learned(directory)) == (0, before)
        with open_knowledge_base(directory) as same_generation:
            assert same_generation.version == version
        other = "Q0" if labelled[0].answer != "Q0" else "Q1"
        result = linker.learn([labelled[0].model_copy(update={"answer": other})])
        assert (result.added, result.corrected, learned(directory)) == (0, 1, before)
    with open_knowledge_base(directory) as base:
        meant = [record.entity for record in base.exemplars.records]
    forget(directory, entities={other})
    assert learned(directory) == before - meant.count(other)


def test_an_answer_that_is_no_entity_is_refused_with_all_others(
    directory: Path, model: Model, dataset: DataSet, labelled: list[Mention]
) -> None:
    before = learned(directory)
    with open_knowledge_base(directory) as base:
        linker = ExactLinker(model, base, data=dataset)
        wrong = [mention.model_copy(update={"answer": "Q99", "text": mention.text + "!"}) for mention in labelled[:2]]
        with pytest.raises(BadData, match=r"field 'answer': mention '.*': there is no entity 'Q99'; correct the id"):
            linker.learn([*wrong, labelled[3].model_copy(update={"text": labelled[3].text + "!"})])
        assert linker.learn("A red kite", "Q0", mention="red kite").added == 1
        assert linker.learn([labelled[0].model_copy(update={"answer": None})]).added == 0
    assert learned(directory) == before + 1
    over = ExactLinker(model, dataset)
    with pytest.raises(BadData, match="there is no entity 'Q99'"):
        over.learn("A red kite", "Q99")


def test_an_update_keeps_exemplars_and_a_removal_removes_them(
    directory: Path, small_data: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    expected = linked(directory, model, dataset, mentions)
    with open_knowledge_base(directory) as base:
        entity, count = base.records([3])[0], len(base.exemplars)
        own = sum(record.entity == entity.id for record in base.exemplars.records)
    assert own
    add_entities(directory, [entity], EntityFile(small_data / "entities.jsonl"), replace=True)
    assert learned(directory) == count
    assert same(linked(directory, model, dataset, mentions), expected)
    remove_entities(directory, [entity.id])
    assert learned(directory) == count - own
    add_entities(directory, [entity], EntityFile(small_data / "entities.jsonl"))
    assert learned(directory) == count - own


def test_compaction_makes_one_part_and_changes_nothing(
    directory: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    expected = linked(directory, model, dataset, mentions)
    with Writer.open(directory) as writer:
        generation = compact(writer)
        assert len(generation.exemplars) == 1
        number = generation.number
        assert compact(writer).number == number
    assert [path.name for path in (directory / EXEMPLARS).iterdir()] == [generation.exemplars[0].name]
    assert same(linked(directory, model, dataset, mentions), expected)


def test_forgetting_all_is_as_if_nothing_had_been_learned(
    directory: Path, plain: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    before = learned(directory)
    some = forget(directory, entities={"Q0", "Q3"})
    assert 0 < some < before
    assert forget(directory) == before - some
    assert forget(directory) == 0
    assert list((directory / EXEMPLARS).iterdir()) == []
    assert same(linked(directory, model, dataset, mentions), linked(plain, model, dataset, mentions))


def test_it_is_counted_and_verified(directory: Path) -> None:
    with open_knowledge_base(directory) as base:
        told, count = information(base), len(base.exemplars)
    assert (told["exemplars"], told["entities"]) == (count, 12)
    assert 0 < told["entities_with_exemplars"] <= 12
    assert told["bytes_exemplars"] > 0
    assert verify(directory, silent) == (12, [])


def test_damage_is_named(directory: Path) -> None:
    file = next((directory / EXEMPLARS).iterdir()) / RECORDS
    file.write_bytes(file.read_bytes().replace(b"Q", b"R", 1))
    _, faults = verify(directory, silent)
    assert len(faults) == 1
    assert f"{file}: is not what was written" in faults[0]
    with open_knowledge_base(directory) as base, pytest.raises(MelderError, match="is not what was written"):
        _ = base.exemplars


@pytest.mark.parametrize("count", [2, 3])
def test_shards_answer_as_the_whole_and_learn_each_its_own(
    count: int, directory: Path, model: Model, dataset: DataSet, mentions: list[Mention], tmp_path: Path
) -> None:
    expected, before = linked(directory, model, dataset, mentions), learned(directory)
    split(tmp_path / "set", directory, count)
    assert split(tmp_path / "set", directory, count) == count
    assert learned(tmp_path / "set") == before
    assert same(linked(tmp_path / "set", model, dataset, mentions), expected)
    with open_knowledge_base(tmp_path / "set") as base:
        linker = ExactLinker(model, base, data=dataset)
        added = linker.learn([mention.model_copy(update={"text": mention.text + "!"}) for mention in mentions]).added
        shards = [len(shard.exemplars) for shard in base.shards]
        assert sum(shards) == before
        assert information(base)["exemplars"] == before
    assert learned(tmp_path / "set") == before + added
    assert forget(tmp_path / "set") == before + added
    join(tmp_path / "joined", [tmp_path / "set" / f"shard-{number:03d}" for number in range(count)])
    assert learned(tmp_path / "joined") == 0


def test_processes_of_shards_answer_as_the_whole(
    directory: Path, model: Model, dataset: DataSet, mentions: list[Mention], tmp_path: Path
) -> None:
    expected = linked(directory, model, dataset, mentions)
    split(tmp_path / "set", directory, 2)
    with open_knowledge_base(tmp_path / "set") as base:
        workers = Processes([shard.directory for shard in base.shards])
        try:
            linker = attach_shards(ExactLinker(model, base, data=dataset), workers)
            assert same(linker.link(mentions, k=12), expected)  # type: ignore[arg-type]
        finally:
            workers.close()


def test_many_small_lessons_become_few_parts(
    directory: Path, model: Model, dataset: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melder.building.learning.PARTS", 4)
    with open_knowledge_base(directory) as base:
        linker, before = ExactLinker(model, base, data=dataset), len(base.exemplars)
        for number in range(9):
            assert linker.learn(f"Kite number {number}", "Q0", mention="Kite").added == 1
    with open_knowledge_base(directory) as base:
        assert len(base.generation.exemplars) <= 4
        assert len(base.exemplars) == before + 9


def test_words_say_what_was_seen(taught: Path, dataset: DataSet, labelled: list[Mention]) -> None:
    linker = melder.load(taught)
    mention = labelled[0]
    words = linker.seen_as(mention.surface, [str(mention.answer), "Q99"])
    assert list(words) == [mention.answer]
    assert words[str(mention.answer)].startswith("seen ")
    assert words[str(mention.answer)].endswith(f"as {mention.surface!r}")


def test_without_exemplars_nothing_is_as_before(
    plain: Path, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    with open_knowledge_base(plain) as base:
        assert ExactLinker(model, base, data=dataset).seen_as("kite", ["Q0"]) == {}
        assert information(base)["exemplars"] == 0
    links = linked(plain, model, dataset, mentions)
    assert not any("exemplars" in candidate.units for link in links for candidate in link.candidates)
    assert np.isfinite([candidate.score for link in links for candidate in link.candidates]).all()


def test_what_a_stranger_wrote_is_looked_at_before_it_is_used(directory: Path) -> None:
    with open_knowledge_base(directory) as base:
        exemplars = base.exemplars
    exemplars.text[0, 0] = float("nan")
    with Writer.open(directory) as writer:
        writer.commit(exemplars=[writer.write_exemplars(exemplars)])
    with open_knowledge_base(directory) as base, pytest.raises(MelderError, match="numbers that are not finite"):
        _ = base.exemplars
