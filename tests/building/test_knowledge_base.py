"""A linker over a knowledge base answers what one over the data set does, and building one can be stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import melder
from melder.building.build import Built, add_entities, build, change_from_file, open_model, remove_entities
from melder.building.zero_shot import ZERO_SHOT
from melder.data import DataSet, EntityFile
from melder.encoders import build_encoder
from melder.evaluation.evaluate import evaluate_run
from melder.features import Side
from melder.kb import Writer, compact, open_knowledge_base
from melder.kb.format.rounding import StorageDtype
from melder.kb.writer import writer_lock
from melder.linking import ExactLinker
from melder.methods import build_matcher
from melder.records import BadData, Entity, Link, MelderError, Mention
from melder.runs.directory import write_run
from melder.runs.model import Model
from melder.runs.model_configuration import DataConfiguration, EncoderConfiguration, ModelConfiguration
from rounding import SCORE, alike, close
from training.small import read_lines, write_lines

pytestmark = pytest.mark.usefixtures("small_segments")
Bases = Callable[[StorageDtype], Path]


def silent(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture(scope="module")
def mentions(dataset: DataSet) -> list[Mention]:
    return [*dataset.split("train"), *dataset.split("dev"), *dataset.split("test")]


@pytest.fixture(scope="module")
def bases(small_run: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    made: dict[StorageDtype, Path] = {}

    def base(kind: StorageDtype) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind) / "kb"
            source = EntityFile(small_data / "entities.jsonl")
            built = build(made[kind], source, run=small_run, kind=kind, counting=silent)
            assert built == Built(12)
        return made[kind]

    return base


@pytest.fixture
def copied(bases: Bases, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bases("float32"), tmp_path / "kb"))


def scores(links: object) -> list[dict[str, float]]:
    return [{each.id: each.score for each in link.candidates} for link in links]  # type: ignore[attr-defined]


def test_in_float32_links_and_ranks_are_those_over_the_data_set(
    bases: Bases, model: Model, dataset: DataSet, mentions: list[Mention], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, expected_ranks = ExactLinker(model, dataset).links_and_ranks(mentions, 12)
    with open_knowledge_base(bases("float32")) as base:
        assert len(base.parts) == 3
        linker = ExactLinker(model, base, data=dataset)
        for size in (1 << 25, 3000):
            monkeypatch.setattr("melder.kb.blocks.BLOCK_BYTES", size)
            links, ranks = linker.links_and_ranks(mentions, 12)
            for one, other in zip(links, expected, strict=True):
                assert alike(one, other)
                units = {each.id: (each.name, each.units) for each in other.candidates}
                for ours in one.candidates:
                    name, theirs = units[ours.id]
                    assert ours.name == name
                    assert close(list(ours.units.values()), list(theirs.values()), SCORE)
            assert np.array_equal(ranks.optimistic, expected_ranks.optimistic)
            assert np.array_equal(ranks.pessimistic, expected_ranks.pessimistic)
        assert [len(link.candidates) for link in linker.link(mentions[:2], k=3)] == [3, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize(("kind", "error"), [("float16", 0.02), ("int8", 0.15)])
def test_smaller_types_are_close(
    kind: StorageDtype, error: float, bases: Bases, model: Model, dataset: DataSet, mentions: list[Mention]
) -> None:
    expected = scores(ExactLinker(model, dataset).link(mentions, k=12))
    with open_knowledge_base(bases(kind)) as base:
        found = scores(ExactLinker(model, base, data=dataset).link(mentions, k=12))
    differences = [abs(ours[key] - theirs[key]) for ours, theirs in zip(found, expected, strict=True) for key in theirs]
    assert 0 < max(differences) < error


def test_sides_of_some_rows_are_those_of_the_blocks(bases: Bases, model: Model, dataset: DataSet) -> None:
    with open_knowledge_base(bases("float32")) as base:
        wanted = torch.tensor([11, 0, 5])
        found, expected = base.side(wanted), ExactLinker(model, dataset).source.side(wanted)
        for name, tensor in found.items():
            cut = expected[name][tuple(slice(0, size) for size in tensor.shape)]
            assert close(tensor.float(), cut.float(), SCORE), name


def test_a_knowledge_base_needs_nothing_else(bases: Bases, small_data: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(bases("float32"), tmp_path / "elsewhere")
    linker = melder.load(moved)
    image = small_data / "images/0.png"
    link = linker.link("A red kite was seen", mention="red kite", image=image)
    assert isinstance(link, Link)
    assert link.candidates[0].id == "Q0"
    record = Mention(id="m", text="red kite", start=0, end=8, surface="red kite", image=str(image))
    assert linker.link([record])[0].candidates[0].id == "Q0"  # type: ignore[index]
    with pytest.raises(MelderError, match="is a knowledge base, which holds what is searched"):
        melder.load(moved, data=small_data)


def test_it_is_evaluated_as_a_run_is(bases: Bases, small_run: Path, small_data: Path, tmp_path: Path) -> None:
    expected = evaluate_run(small_run, small_data, "dev", counting=silent)
    own = evaluate_run(bases("float32"), small_data, "dev", counting=silent)
    named = evaluate_run(small_run, small_data, "dev", knowledge_base=bases("float32"), counting=silent)
    for result in (own, named):
        assert result.figures["mrr"] == pytest.approx(expected.figures["mrr"])
        assert result.figures["name_match"] == expected.figures["name_match"]
        assert result.figures["candidates"] == 12
        assert result.figures["knowledge_base"] == "kb"
        assert any(isinstance(shown.picture, bytes) for each in result.page().examples for shown in each.candidates)


def test_a_knowledge_base_of_another_model_is_refused(
    bases: Bases, small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(small_run, tmp_path / "other"))
    path = other / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(MelderError, match=r"was built with another model than .*other \(model.safetensors differs\)"):
        evaluate_run(other, small_data, "dev", knowledge_base=bases("float32"), counting=silent)


def test_a_damaged_model_is_refused(copied: Path) -> None:
    path = copied / "model/model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(MelderError, match=r"model\.safetensors: is not what was written"):
        melder.load(copied)


def test_entities_come_in_and_go(copied: Path, model: Model, small_data: Path) -> None:
    source = EntityFile(small_data / "entities.jsonl")
    before = {path: path.stat().st_mtime_ns for path in (copied / "segments").rglob("*") if path.is_file()}
    yak = Entity(id="Y", name="Purple yak", description="A yak.", images=("images/3.png",))
    assert add_entities(copied, [yak], source, model=open_model(copied / "model")) == Built(1)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in (copied / "segments").rglob("*")}.items()
    assert _first(copied, "the purple yak") == "Y"
    add_entities(copied, [Entity(id="Y", name="Orange llama")], source, replace=True)
    assert _first(copied, "the orange llama") == "Y"
    remove_entities(copied, ["Y"])
    assert _first(copied, "the orange llama") != "Y"
    with Writer.open(copied) as writer:
        compact(writer)
        assert sorted(each.id for each in writer.base.entities) == sorted(f"Q{n}" for n in range(12))


def _first(directory: Path, text: str) -> str:
    linker = melder.load(directory)
    link = linker.link(text)
    assert isinstance(link, Link)
    return link.candidates[0].id


@pytest.mark.parametrize(
    ("verb", "ids", "words"),
    [
        ("add", ["N", "Q3"], r"holds 'Q3' already; replace it with `melder kb update`"),
        ("update", ["Q3", "N"], r"holds no entity 'N'; correct the id, or add it"),
        ("remove", ["Q3", "N"], r"holds no entity 'N'"),
        ("add", ["N", "N"], r"entity 'N' is given twice"),
    ],
)
def test_ids_must_fit_what_is_there(copied: Path, small_data: Path, verb: str, ids: list[str], words: str) -> None:
    source = EntityFile(small_data / "entities.jsonl")
    entities = [Entity(id=each, name="x") for each in ids]
    change = {
        "add": lambda: add_entities(copied, entities, source),
        "update": lambda: add_entities(copied, entities, source, replace=True),
        "remove": lambda: remove_entities(copied, ids),
    }[verb]
    with pytest.raises(MelderError, match=words):
        change()
    with open_knowledge_base(copied) as base:
        assert (base.generation.number, len(base)) == (1, 12)


class Stopped(Exception):
    pass


def test_a_build_that_was_stopped_goes_on(
    bases: Bases, small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    entity_side = Model.entity_side

    def counted(self: Model, items: Any, progress: Any = None) -> Any:
        if len(encoded) == 2:
            raise Stopped
        encoded.append(len(items))
        return entity_side(self, items, progress)

    source = EntityFile(small_data / "entities.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(Model, "entity_side", counted)
        with pytest.raises(Stopped):
            build(tmp_path / "kb", source, run=small_run, kind="float32", counting=silent)
    assert encoded == [5, 5]
    with pytest.raises(MelderError, match="was not built to its end; run the same `melder kb build` again"):
        melder.load(tmp_path / "kb")
    with monkeypatch.context() as patch:
        patch.setattr(
            Model,
            "entity_side",
            lambda self, items, progress: (encoded.append(len(items)), entity_side(self, items))[1],
        )
        assert build(tmp_path / "kb", source, run=small_run, kind="float32", counting=silent) == Built(12)
    assert encoded == [5, 5, 2]
    names = [
        {path.name: path.read_bytes() for path in (where / "segments").rglob("*.*")}
        for where in (tmp_path / "kb", bases("float32"))
    ]
    assert names[0] == names[1]


def test_a_stopped_build_does_not_go_on_with_another_model(
    small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, whole, segments = EntityFile(small_data / "entities.jsonl"), Model.entity_side, list[int]()

    def second_fails(*given: Any) -> Side:
        segments.append(1)
        return whole(*given) if len(segments) == 1 else 1 / 0  # type: ignore[return-value]

    with monkeypatch.context() as patch:
        patch.setattr(Model, "entity_side", second_fails)
        with pytest.raises(ZeroDivisionError):
            build(tmp_path / "kb", source, run=small_run, counting=silent)
    other = Path(shutil.copytree(small_run, tmp_path / "other"))
    (other / "metrics.json").write_text("{}")
    with pytest.raises(MelderError, match="its build was begun with another model"):
        build(tmp_path / "kb", source, run=other, counting=silent)


def test_records_that_change_between_two_attempts_are_encoded_again(
    small_run: Path, small_data: Path, tmp_path: Path
) -> None:
    write_lines(
        tmp_path / "entities.jsonl", [each | {"images": []} for each in read_lines(small_data / "entities.jsonl")]
    )
    source = EntityFile(tmp_path / "entities.jsonl")
    build(tmp_path / "kb", source, run=small_run, counting=silent)
    (tmp_path / "kb/CURRENT").unlink()
    records = read_lines(tmp_path / "entities.jsonl")
    records[7]["name"] = "Okapi"
    write_lines(tmp_path / "entities.jsonl", records)
    build(tmp_path / "kb", source, run=small_run, counting=silent)
    with open_knowledge_base(tmp_path / "kb") as base:
        assert base.entities[7].name == "Okapi"
        assert len(list((tmp_path / "kb/segments").iterdir())) == len(base.parts) == 3


def test_bad_records_are_named_or_left_out(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    path = small_data / "spoilt.jsonl"
    good = (small_data / "entities.jsonl").read_text()
    lines = ['{"id": "Q0", "name": "again"}', "{", '{"id": "P", "name": "P", "images": ["images/nowhere.png"]}']
    path.write_text(good + "\n".join(lines) + "\n")
    try:
        with pytest.raises(BadData) as error:
            build(tmp_path / "kb", EntityFile(path), run=small_run, counting=silent)
        assert [record.number for record in error.value.records] == [13, 14, 15]
        assert not (tmp_path / "kb").exists()
        built = build(tmp_path / "kb", EntityFile(path), run=small_run, skip_bad=True, counting=silent)
        assert (built.entities, len(built.skipped), built.unreadable) == (13, 3, {})
        more = change_from_file(
            tmp_path / "kb", _file(tmp_path, ['{"id": "R", "name": "R"}', "[]"]), replace=False, skip_bad=True
        )
        assert (more.entities, [record.number for record in more.skipped]) == (1, [2])
    finally:
        path.unlink()


def _file(directory: Path, lines: list[str]) -> EntityFile:
    (directory / "more.jsonl").write_text("\n".join(lines))
    return EntityFile(directory / "more.jsonl")


def test_a_picture_that_cannot_be_read_is_listed(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n")
    source = _file(tmp_path, [json.dumps({"id": "A", "name": "A", "images": ["cut.png"]})])
    with pytest.raises(MelderError, match=r"cut\.png"):
        build(tmp_path / "kb", source, run=small_run, counting=silent)
    for _ in range(2):  # the second time from the finished segment
        (tmp_path / "kb/CURRENT").unlink(missing_ok=True)
        built = build(tmp_path / "kb", source, run=small_run, skip_bad=True, counting=silent)
        assert list(built.unreadable) == [str(tmp_path / "cut.png")]


def test_small_pictures_or_the_files_themselves_are_kept(small_run: Path, small_data: Path, tmp_path: Path) -> None:
    source, original = EntityFile(small_data / "entities.jsonl"), (small_data / "images/4.png").read_bytes()
    kept = {}
    for keep in ("small", "original", "none"):
        build(tmp_path / keep, source, run=small_run, pictures=keep, counting=silent)  # type: ignore[arg-type]
        with open_knowledge_base(tmp_path / keep) as base:
            kept[keep] = base.picture(4)
    assert kept["original"] == original
    assert kept["none"] is None
    assert str(kept["small"])[2:].startswith(r"\xff\xd8")  # a JPEG


@pytest.mark.parametrize("place", ["a file", "a full directory", "a knowledge base"])
def test_nothing_is_written_over(place: str, bases: Bases, small_run: Path, small_data: Path, tmp_path: Path) -> None:
    out = {"a file": tmp_path / "x", "a full directory": tmp_path, "a knowledge base": bases("float32")}[place]
    (tmp_path / "x").write_text("mine")
    with pytest.raises(MelderError, match=str(out)):
        build(out, EntityFile(small_data / "entities.jsonl"), run=small_run, counting=silent)
    assert (tmp_path / "x").read_text() == "mine"


def test_a_build_that_waited_for_another_does_not_begin_again(
    bases: Bases, small_run: Path, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, source, built = tmp_path / "kb", EntityFile(small_data / "entities.jsonl"), bases("float32")

    @contextmanager
    def waited(directory: Path) -> Iterator[None]:
        shutil.copytree(built, directory, dirs_exist_ok=True)
        remove_entities(directory, ["Q3"])
        with writer_lock(directory):
            yield

    monkeypatch.setattr("melder.building.lock.writer_lock", waited)
    with pytest.raises(MelderError, match="is a knowledge base already"):
        build(out, source, run=small_run, kind="float32", counting=silent)
    with open_knowledge_base(out) as base:
        assert (base.generation.number, len(base)) == (2, 11)


@pytest.mark.parametrize("models", [{}, {"run": Path("a"), "encoder": "b"}])
def test_there_is_one_model(models: dict[str, Any], small_data: Path, tmp_path: Path) -> None:
    with pytest.raises(MelderError, match="name either a run, or with --encoder"):
        build(tmp_path / "kb", EntityFile(small_data / "entities.jsonl"), **models, counting=silent)
    assert not (tmp_path / "kb").exists()


def test_with_precomputed_features_pictures_need_not_be_there(small_data: Path, tmp_path: Path) -> None:
    run = _precomputed_run(tmp_path / "run", [f"{n}.png" for n in range(13)])
    shutil.copy(small_data / "entities.jsonl", tmp_path / "entities.jsonl")
    (tmp_path / "images").mkdir()
    shutil.copy(small_data / "images/4.png", tmp_path / "images/4.png")
    assert build(tmp_path / "kb", EntityFile(tmp_path / "entities.jsonl"), run=run, counting=silent) == Built(12)
    more = _file(tmp_path, [json.dumps({"id": "N", "name": "N", "images": ["images/12.png"]})])
    assert change_from_file(tmp_path / "kb", more, replace=False, skip_bad=False) == Built(1)
    with open_knowledge_base(tmp_path / "kb") as base:
        assert [row for row in range(13) if base.picture(row)] == [4]
        assert base.side(torch.arange(13))["image.present"].all()


def _precomputed_run(directory: Path, pictures: list[str]) -> Path:
    """A run that nothing was trained in, whose encoder looks the features of pictures up."""
    tensors = {"image_global": torch.rand(len(pictures), 6), "image_tokens": torch.rand(len(pictures), 4, 6)}
    features = directory.with_name("features.safetensors")
    save_file(tensors, features, metadata={"names": json.dumps(pictures)})
    options = EncoderConfiguration(name=f"precomputed:{features}+clip:compact", text_length=16)
    encoder = build_encoder(options.name, text_length=options.text_length)
    matcher = build_matcher(ZERO_SHOT, encoder.sizes)
    assert matcher.lexical is not None
    matcher.lexical.fit(["red kite"])
    data = DataConfiguration(directory=directory)
    configuration = ModelConfiguration(data=data, encoder=options, method=ZERO_SHOT)
    write_run(directory, Model(encoder, matcher), configuration.model_dump(mode="json"))
    return directory
