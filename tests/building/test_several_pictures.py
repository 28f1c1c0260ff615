"""Entities and mentions with several pictures, from the records to the answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
import yaml

import melder
from melder.building.build import add_entities, build, remove_entities
from melder.building.model import identity_of
from melder.building.segments import BuildJob
from melder.data import DataSet, EntityFile, entity_items, load
from melder.features import Side
from melder.jobs.ray.cluster import Cluster
from melder.jobs.ray.encoding import EncodeChunk, decode_chunk
from melder.jobs.ray.tensors import from_bytes
from melder.kb import Writer, compact, open_knowledge_base
from melder.kb.format.rounding import StorageDtype
from melder.kb.manifest import KnowledgeBaseSettings
from melder.linking import ExactLinker
from melder.linking.explanation import candidate_pictures, explain
from melder.records import Link, Mention
from melder.runs.directory import open_model, read_configuration
from melder.runs.model import Model
from melder.search.resolver import build_search
from rounding import alike

pytestmark = pytest.mark.usefixtures("small_segments")
BuildBase = Callable[..., Path]
PICTURES = [3, 1, 2]  # of the first entities, and so on in turn


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def pictured(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small data, whose entities have the pictures of those behind them too."""
    folder = tmp_path_factory.mktemp("pictured")
    lines = [json.loads(line) for line in (small_data / "entities.jsonl").read_text().splitlines()]
    images = [line["images"][0] for line in lines]
    for row, line in enumerate(lines):
        line["images"] = [images[(row + n) % len(images)] for n in range(PICTURES[row % len(PICTURES)])]
    (folder / "entities.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in (path.name for path in small_data.iterdir() if path.name != "entities.jsonl"):
        copy = shutil.copytree if (small_data / name).is_dir() else shutil.copyfile
        copy(small_data / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def several(pictured: Path) -> DataSet:
    return load(pictured)


@pytest.fixture(scope="module")
def mentions(several: DataSet) -> list[Mention]:
    """Every second one has two pictures."""
    found = [mention for mention in several.split("test") if mention.image]
    names = [mention.images[0] for mention in found]
    return [
        mention if row % 2 else mention.with_images((mention.images[0], names[row - 1]))
        for row, mention in enumerate(found)
    ]


@pytest.fixture(scope="module")
def linker(model: Model, several: DataSet) -> ExactLinker:
    return ExactLinker(model, several)


@pytest.fixture
def build_base(small_run: Path, pictured: Path, tmp_path: Path) -> BuildBase:
    def built(kind: StorageDtype, tokens: int | None = None) -> Path:
        source = EntityFile(pictured / "entities.jsonl")
        build(tmp_path / "kb", source, run=small_run, kind=kind, tokens=tokens, counting=silent)
        return tmp_path / "kb"

    return built


def linked(linker: ExactLinker, mentions: list[Mention], k: int = 12) -> list[Link]:
    links = linker.link(mentions, k)
    assert isinstance(links, list)
    return links


def close_to(found: list[Link], expected: list[Link]) -> bool:
    return all(alike(one, other) for one, other in zip(found, expected, strict=True))


def test_further_pictures_change_the_scores(
    linker: ExactLinker, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    single = ExactLinker(model, dataset)
    assert linker.pictures_read == 4
    assert not close_to(linked(linker, mentions), linked(single, mentions))
    firsts = [mention.with_images(mention.images[:1]) for mention in mentions]
    assert not close_to(linked(linker, mentions), linked(linker, firsts))


def test_pictures_of_one_text_may_be_given_as_a_list(linker: ExactLinker, mentions: list[Mention]) -> None:
    mention = mentions[0]
    (expected,) = linked(linker, [mention])
    images = [linker.data.mention_image(name) for name in mention.images]  # type: ignore[union-attr]
    found = linker.link(mention.text, 12, mention=mention.surface, image=[images[0].read_bytes(), str(images[1])])
    assert isinstance(found, Link)
    assert alike(found, expected)


def test_a_knowledge_base_answers_as_its_data_set(
    linker: ExactLinker, several: DataSet, mentions: list[Mention], build_base: BuildBase
) -> None:
    with open_knowledge_base(build_base("float32")) as base:
        stored = ExactLinker(linker.model, base, data=several)
        expected = linked(linker, mentions)
        assert close_to(linked(stored, mentions), expected)
        for name in ("certified", "flat"):
            stored.search = build_search(name, linker.model.matcher, stored.source)
            assert close_to(linked(stored, mentions), expected)


def test_entities_are_removed_added_and_compacted_with_their_pictures(
    linker: ExactLinker, several: DataSet, mentions: list[Mention], build_base: BuildBase
) -> None:
    directory, gone = build_base("float32"), list(several.entities[:4])
    remove_entities(directory, [entity.id for entity in gone])
    add_entities(directory, gone, several)
    with Writer.open(directory) as writer:
        compact(writer)
    with open_knowledge_base(directory) as base:
        assert close_to(linked(ExactLinker(linker.model, base, data=several), mentions), linked(linker, mentions))


@pytest.mark.parametrize(
    ("kind", "tokens", "error"),
    [("float16", None, 0.1), ("int8", None, 0.1), ("residual2", None, 0.7), ("residual1", 3, 0.7)],
)
def test_stored_in_fewer_bytes_they_score_nearly_the_same(
    kind: StorageDtype,
    tokens: int | None,
    error: float,
    linker: ExactLinker,
    several: DataSet,
    mentions: list[Mention],
    build_base: BuildBase,
) -> None:
    with open_knowledge_base(build_base(kind, tokens)) as base:
        stored = ExactLinker(linker.model, base, data=several)
        found, expected = linked(stored, mentions), linked(linker, mentions)
        for name in ("certified", "flat"):
            stored.search = build_search(name, linker.model.matcher, stored.source)
            assert close_to(linked(stored, mentions), found)
    for link, other in zip(found, expected, strict=True):
        scores = {candidate.id: candidate.score for candidate in other.candidates}
        assert all(abs(candidate.score - scores[candidate.id]) < error for candidate in link.candidates)


def test_an_explanation_says_which_pictures_matched(
    linker: ExactLinker, several: DataSet, mentions: list[Mention]
) -> None:
    (link,) = linked(linker, mentions[:1])
    explanation = explain(linker, mentions[0], link)
    pictures = candidate_pictures(linker, explanation)
    entities = {entity.id: entity for entity in several.entities}
    assert {identity: len(shown) for identity, shown in pictures.items()} == {
        identity: len(entities[identity].images) for identity in pictures
    }
    for candidate in explanation.candidates:
        assert candidate.pictures.keys() <= candidate.units.keys()
        assert "image" in candidate.pictures
        for matched in candidate.pictures.values():
            assert matched.mention < 2
            assert matched.entity < len(entities[candidate.id].images)
    # The score of the pictures that are named is the largest of any two.
    best = explanation.candidates[0].pictures["image"]
    shown = [linker.data.mention_image(name) for name in mentions[0].images]  # type: ignore[union-attr]
    scores = {}
    for own, picture in enumerate(shown):
        for number, name in enumerate(entities[link.candidates[0].id].images):
            entity = entities[link.candidates[0].id].model_copy(update={"images": (name,)})
            alone = ExactLinker(linker.model, replace(several, entities=[entity]))
            (one,) = alone.answers([mentions[0]], [alone.item(mentions[0], picture)], 1)
            scores[own, number] = one[0].candidates[0].units["image"]
    assert scores[best.mention, best.entity] == pytest.approx(max(scores.values()), abs=1e-4)


def test_a_run_is_asked_for_another_rule(small_run: Path, pictured: Path, mentions: list[Mention]) -> None:
    rules = [
        melder.load(small_run, data=pictured, changes=[f"method.picture_pooling={rule}"]) for rule in ("mean", "max")
    ]
    mean, largest = (linked(rule, mentions[:1])[0] for rule in rules)  # type: ignore[arg-type]
    units = [{each.id: each.units["image"] for each in link.candidates} for link in (mean, largest)]
    assert all(units[0][identity] <= units[1][identity] + 1e-5 for identity in units[0])
    assert units[0] != units[1]


class Here:
    """A cluster of this process."""

    def enter(self) -> None: ...


def test_a_cluster_decodes_and_encodes_every_picture(
    small_run: Path, model: Model, pictured: Path, several: DataSet
) -> None:
    settings = KnowledgeBaseSettings(kind="float32", pictures="none", identity=identity_of(small_run))
    job = BuildJob(pictured, small_run, EntityFile(pictured / "entities.jsonl"), settings, skip_bad=False)
    lines = [entity.model_dump_json().encode() for entity in several.entities]
    row = {"path": "segment", "chunk": 0, "chunks": 1, "entities": b"\n".join(lines)}
    here = cast(Cluster, Here())
    encoded = EncodeChunk(job, here)(decode_chunk(row, job, here))
    side = Side(from_bytes(encoded["side"]))
    expected = model.entity_side(entity_items(several.entities, several, model.encoder.separator, pictures=4))
    assert side.keys() == expected.keys()
    assert any("further" in name for name in side)
    assert all(torch.equal(side[name], expected[name]) for name in side)


def test_a_run_from_before_compares_the_first_picture(small_run: Path, dataset: DataSet, tmp_path: Path) -> None:
    run = Path(shutil.copytree(small_run, tmp_path / "run"))
    content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert read_configuration(run).pictures == 4
    for name in ("pictures", "picture_pooling"):
        del content["method"][name]
    (run / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert read_configuration(run).pictures == 1
    linker = ExactLinker(open_model(run)[0], dataset)
    assert linker.pictures_read == 1
    mention = Mention(id="m", text="A red kite", surface="red kite", start=2, end=10)
    assert linker.item(mention, [b"one", b"two"]).images == (b"one",)
