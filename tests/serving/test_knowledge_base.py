"""A knowledge base on disk: served, changed over HTTP and by another process."""

from __future__ import annotations

import base64
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from starlette.testclient import TestClient

import melder
from kb.made import build as build_without_model
from kb.made import entity
from linking.second_looks import by_letters
from melder.building.build import build, remove_entities
from melder.data import EntityFile
from melder.kb import KnowledgeBase, open_knowledge_base
from melder.kb.format.records import Records
from melder.kb.segment import Segment
from melder.kb.shards import join
from melder.kb.type_counts import TypeCounts
from melder.records import Entity, Link, Mention
from melder.runs.model import Model
from melder.serving import NewEntity, ServiceSettings, create_application
from melder.serving.knowledge_base import KnowledgeBaseCatalogue, KnowledgeBaseSource
from melder.serving.opening import source_of
from serving.test_entities import BEARER, TOKEN
from training.small import write_lines

TEXT = "A red kite was seen"
ASKED = {"text": TEXT, "mentions": [{"start": 2, "end": 10}], "k": 3}


def uncounted(title: str, total: int) -> Callable[[int], None]:
    return lambda done: None


@pytest.fixture
def directory(small_run: Path, small_data: Path, tmp_path: Path) -> Path:
    source = EntityFile(small_data / "entities.jsonl")
    build(tmp_path / "kb", source, run=small_run, counting=uncounted)
    return tmp_path / "kb"


@pytest.fixture
def client(directory: Path) -> Iterator[TestClient]:
    source = KnowledgeBaseSource(directory)
    app = create_application(source, source.open(), ServiceSettings(poll=0.02, token=TOKEN))
    with TestClient(app, headers=BEARER) as client:
        yield client


def test_a_knowledge_base_is_served(client: TestClient, directory: Path, small_data: Path) -> None:
    body = client.post("/link", json=ASKED).json()
    expected = melder.load(directory).link(TEXT, 3, mention="red kite")
    assert isinstance(expected, Link)
    assert body["generation"] == "000001"
    assert [each["id"] for each in body["links"][0]["candidates"]] == [each.id for each in expected.candidates]
    assert client.get("/entities/Q0/picture").content[:2] == b"\xff\xd8"
    suggested = client.get("/reconcile/suggest/entity?prefix=kit").json()["result"]
    assert {each["id"] for each in suggested} == {"Q0", "Q3", "Q6", "Q9"}
    named = client.get("/reconcile", params={"queries": '{"q": {"query": "RED  kite"}}'}).json()["q"]["result"][0]
    assert (named["id"], named["match"]) == ("Q0", True)


def test_candidates_are_described_without_reading_their_pictures(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*place: object) -> bytes:
        raise AssertionError("a picture was read")

    client.put("/entities/N", json={"id": "N", "name": "Pink kite"}).raise_for_status()
    monkeypatch.setattr(Segment, "picture", refuse)
    body = client.post("/link", params={"entities": True}, json=ASKED | {"k": 13}).json()
    assert {row["id"] for row in body["links"][0]["candidates"]} == {*body["entities"]}
    assert [identity for identity, summary in body["entities"].items() if not summary["picture"]] == ["N"]
    monkeypatch.undo()
    for identity, summary in body["entities"].items():
        assert client.get(f"/entities/{identity}").json()["picture"] == summary["picture"]
        assert (client.get(f"/entities/{identity}/picture").status_code == 200) == summary["picture"]


def test_a_set_of_shards_is_served_and_so_are_changes_of_a_shard(directory: Path, tmp_path: Path) -> None:
    whole = melder.load(directory).link(TEXT, 3, mention="red kite")
    remove_entities(directory, ["Q11"])
    write_lines(tmp_path / "other.jsonl", [{"id": "Q11", "name": "Grey fox"}])
    build(tmp_path / "other", EntityFile(tmp_path / "other.jsonl"), run=directory / "model", counting=uncounted)
    join(tmp_path / "all", [directory, tmp_path / "other"])
    shards = source_of(tmp_path / "all", None)
    with TestClient(
        create_application(shards, shards.open(), ServiceSettings(poll=0.02, token=TOKEN)), headers=BEARER
    ) as client:
        body = client.post("/link", json=ASKED).json()
        assert isinstance(whole, Link)
        assert (body["generation"], shards.generation()) == ("000002+000001", "000002+000001")
        assert [each["id"] for each in body["links"][0]["candidates"]] == [each.id for each in whole.candidates]
        assert client.get("/entities/Q11").json()["name"] == "Grey fox"
        refused = client.delete("/entities/Q11")
        assert (refused.status_code, "no set of shards" in refused.json()["error"]) == (501, True)
        remove_entities(tmp_path / "other", ["Q11"])
        served_now(client, "000002+000002")
        assert client.get("/entities/Q11").status_code == 404


def served_now(client: TestClient, generation: str) -> None:
    until = time.monotonic() + 120
    while client.get("/readyz").json()["generation"] != generation:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_types_reach_the_linker(directory: Path, client: TestClient) -> None:
    new = {"id": "N", "name": "Blue fox", "types": ["fox", "animal"]}
    assert client.post("/entities", json=new).status_code == 201
    (link,) = client.post("/link", json=ASKED | {"types": ["fox"]}).json()["links"]
    assert [each["id"] for each in link["candidates"]] == ["N"]
    refused = client.post("/link", json=ASKED | {"types": ["fox", "tree"]})
    assert (refused.status_code, "no entity has the type 'tree'" in refused.json()["error"]) == (422, True)
    queries = '{"q": {"query": "red kite", "type": ["fox", "%s"], "type_strict": "all", "limit": 1}}'
    for other, wanted in (("animal", ["N"]), ("tree", [])):
        answer = client.get("/reconcile", params={"queries": queries % other}).json()["q"]["result"]
        assert [each["id"] for each in answer] == wanted  # though many entities would be better without their types


def test_a_change_over_http_is_served_at_once(client: TestClient, small_data: Path) -> None:
    image = base64.b64encode((small_data / "images/0.png").read_bytes()).decode()
    new = {"id": "N", "name": "Red kite", "description": "A kite with red fur.", "types": ["bird"], "images": [image]}
    added = client.post("/entities", json=new)
    assert (added.status_code, added.json()) == (201, {"generation": "000002", "entities": 13})
    candidates = client.post("/link", json=ASKED).json()["links"][0]["candidates"]
    assert {"N", "Q0"} == {each["id"] for each in candidates[:2]}
    assert client.get("/entities/N/picture").status_code == 200
    assert client.put("/entities/N", json=new | {"name": "Blue whale", "images": []}).json()["entities"] == 13
    assert client.get("/reconcile").json()["defaultTypes"] == [{"id": "bird", "name": "bird"}]
    assert client.delete("/entities/N").json() == {"generation": "000004", "entities": 12}
    assert client.get("/entities/N").status_code == 404


def test_a_change_by_another_process_is_picked_up(client: TestClient, directory: Path) -> None:
    remove_entities(directory, ["Q0"])
    until = time.monotonic() + 120
    while client.get("/readyz").json()["generation"] != "000002":
        assert time.monotonic() < until
        time.sleep(0.02)
    answer = client.post("/link", json=ASKED).json()
    assert "Q0" not in {each["id"] for each in answer["links"][0]["candidates"]}


def test_exact_names_come_first(tmp_path: Path) -> None:
    alike = [entity(f"Q{n}", "Red kite red kite") for n in range(120)]
    many = entity("M", "Milvus", [*(f"other {n}" for n in range(300)), "Red kite"])
    build_without_model(tmp_path / "kb", [*alike, many])
    with open_knowledge_base(tmp_path / "kb") as base:
        catalogue = KnowledgeBaseCatalogue(base, TypeCounts().of)
        assert [each.id for each in catalogue.named("RED  kite")] == ["M"]
        first = [each.id for each in catalogue.starting("red kite", 3)]
        assert (first[0], len(set(first))) == ("M", 3)
        assert len(catalogue.starting("red kite", 1)) == 1


def test_the_model_is_read_when_its_files_change_and_not_before(
    directory: Path, small_run: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[Model]()
    make = Model.__init__
    monkeypatch.setattr(Model, "__init__", lambda self, *parts: (made.append(self), make(self, *parts))[1])
    source = KnowledgeBaseSource(directory)
    first = source.open()
    assert len(made) == 1
    for name in ("A", "B"):
        source.add([NewEntity(Entity(id=name, name=name))])
        source.open()
    assert len(made) == 2  # the one that links and the one that encodes what is new
    another_run(small_run, directory.parent / "run")
    shutil.rmtree(directory)
    build(directory, EntityFile(small_data / "entities.jsonl"), run=directory.parent / "run", counting=uncounted)
    made.clear()
    second = source.open()
    source.add([NewEntity(Entity(id="A", name="A"))])
    assert len(made) == 2
    assert first.model != second.model


def another_run(run: Path, out: Path) -> None:
    """The run with other weights."""
    shutil.copytree(run, out)
    weights = load_file(out / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, out / "model.safetensors")


def test_types_are_those_of_the_entities_and_a_segment_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[int]()
    entities = Records.entities
    monkeypatch.setattr(Records, "entities", lambda self, rows: (read.extend(rows), entities(self, rows))[1])
    some = [Entity(id=f"Q{n}", name="x", types=("bird", "kite")[: 1 + n % 2]) for n in range(10)]
    build_without_model(tmp_path / "kb", some)
    kinds = TypeCounts()
    with open_knowledge_base(tmp_path / "kb") as base:
        assert kinds.of(base) == ("bird", "kite")
    assert len(read) == 10
    remove_entities(tmp_path / "kb", [f"Q{n}" for n in range(10) if n != 3][:7])
    read.clear()
    with open_knowledge_base(tmp_path / "kb") as base:
        catalogue = KnowledgeBaseCatalogue(base, kinds.of)
        expected = Counter(kind for each in base.entities for kind in each.types)
        read.clear()
        assert catalogue.types == tuple(kind for kind, _ in expected.most_common())
    assert len(read) == 7  # those that were removed, which are taken off


def closings(directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The generations of this knowledge base that are closed from now on.

    Those of other directories do not count: a finaliser closes what an earlier test left, whenever Python collects it.
    """
    closed = list[int]()
    close = KnowledgeBase.close

    def noting(base: KnowledgeBase) -> None:
        if base.directory == directory:
            closed.append(base.generation.number)
        close(base)

    monkeypatch.setattr(KnowledgeBase, "close", noting)
    return closed


@pytest.mark.parametrize(
    "broken", ["melder.serving.knowledge_base.KnowledgeBaseCatalogue", "melder.linking.comparing.open_run"]
)
def test_a_generation_that_cannot_be_served_is_given_up(
    directory: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("broken")

    closed = closings(directory, monkeypatch)
    monkeypatch.setattr(broken, failing)
    with pytest.raises(RuntimeError):
        KnowledgeBaseSource(directory).open()
    assert closed == [1]


def test_a_knowledge_base_that_cannot_be_loaded_is_given_up(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = closings(directory, monkeypatch)
    with pytest.raises(melder.MelderError):
        melder.load(directory, changes=["method.nonsense=1"])
    assert closed == [1]


def test_settings_of_the_method_take_the_place_of_the_runs(directory: Path) -> None:
    with pytest.raises(melder.MelderError, match="only settings of a run's method can be changed"):
        KnowledgeBaseSource(directory, ["encoder.name=clip:other"]).open()
    changes = ["method.published=true", "method.pictures=1"]
    served = KnowledgeBaseSource(directory, changes).open()
    (links,) = served.linker.answers([mention := _mention()], [served.linker.item(mention, None)], 3)
    expected = melder.load(directory, changes=changes).link(TEXT, 3, mention="red kite")
    assert isinstance(expected, Link)
    assert [each.score for each in links[0].candidates] == [each.score for each in expected.candidates]


def test_a_second_look_is_served_and_stays_when_entities_change(directory: Path) -> None:
    changes = by_letters(shuffles=1)
    source = KnowledgeBaseSource(directory, changes, candidates="flat")
    for removed in ([], ["Q11"]):
        if removed:
            source.remove(removed)
        served = source.open()
        (links,) = served.linker.answers([mention := _mention()], [served.linker.item(mention, None)], 3)
        with melder.load(directory, changes=changes) as linker:
            expected = linker.link(TEXT, 3, mention="red kite")
        assert [c.score for c in links[0].candidates] == pytest.approx([c.score for c in expected.candidates], abs=1e-4)
        assert "language_model" in links[0].candidates[0].units


def _mention() -> Mention:
    return Mention(id="0", text=TEXT, start=2, end=10, surface="red kite")


def test_a_half_written_generation_is_not_served_and_the_old_one_goes_on(
    client: TestClient, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melder.serving.snapshot.AGAIN", 0.1)
    current = (directory / "CURRENT").read_text()
    manifest = (directory / "generations/000001.json").read_bytes()
    (directory / "generations/000002.json").write_bytes(manifest[: len(manifest) // 2])
    (directory / "CURRENT").write_text(current.replace("000001.json", "000002.json"))
    until = time.monotonic() + 120
    while "melder_failed_reloads_total 0.0" in client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.02)
    answer = client.post("/link", json=ASKED)
    assert (answer.status_code, answer.json()["generation"]) == (200, "000001")
    (directory / "CURRENT").write_text(current)
    (directory / "generations/000002.json").unlink()
    remove_entities(directory, ["Q0"])  # makes a 000002 that is whole
    while client.get("/readyz").json()["generation"] != "000002":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_is_learned_is_served_explained_and_forgotten(
    client: TestClient, directory: Path, small_data: Path
) -> None:
    image = base64.b64encode((small_data / "images/7.png").read_bytes()).decode()
    text = "The old one sleeps"
    asked = {"text": text, "mentions": [{"start": 0, "end": 11}], "image": image, "k": 12}
    before = client.post("/link", json=asked).json()["links"][0]["candidates"]
    answer = client.post("/entities/Q7/exemplars", json={"text": text, "start": 0, "end": 11, "image": image})
    assert (answer.status_code, answer.json()) == (201, {"generation": "000002", "entities": 12})
    after = client.post("/link", json=asked).json()["links"][0]["candidates"]
    gain = {each["id"]: each["score"] for each in after}["Q7"] - {each["id"]: each["score"] for each in before}["Q7"]
    assert gain > 0
    explained = client.post("/explain", json=asked | {"k": 3}).json()["explanation"]["candidates"]
    assert {each["id"]: each["seen"] for each in explained if each["seen"]} == {"Q7": "seen once as 'The old one'"}
    assert client.delete("/entities/Q7/exemplars").json()["generation"] == "000003"
    assert client.post("/link", json=asked).json()["links"][0]["candidates"] == before
    with open_knowledge_base(directory) as base:
        assert len(base.exemplars) == 0
