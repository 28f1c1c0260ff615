"""Shards that services hold: together they are one knowledge base, and one that is cut off is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.testclient import TestClient

import melder
from linking.second_looks import by_pairs
from melder.building import build as kb_build
from melder.cli import app as command
from melder.data import DataSet, EntityFile
from melder.kb.shard_list import shard_services
from melder.kb.shard_split import split
from melder.kb.shards import join_services
from melder.linking import shard_service
from melder.linking.remote import RemoteLinker
from melder.linking.shard_service import ShardService
from melder.protocols import Linker
from melder.records import Link, MelderError, Mention
from melder.serving import ServiceSettings, create_application
from melder.serving.knowledge_base import ReadOnlySource
from melder.serving.remote import RemoteSource
from rounding import SCORE, close
from training.small import read_lines, write_lines

ADDRESSES = tuple(f"http://shard-{number}:8000" for number in range(3))


class Wire(httpx2.BaseTransport):
    """The way to a service that runs in this process; while it is cut nothing comes back."""

    def __init__(self, client: TestClient) -> None:
        self.client, self.cut, self.asked = client, False, 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self.cut:
            raise httpx2.ReadTimeout("nothing came")
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = self.client.request(
            request.method, str(request.url.raw_path, "ascii"), content=request.read(), headers=headers
        )
        return httpx2.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


@pytest.fixture(scope="module")
def folder(small_run: Path, small_data: Path, small_segments: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A knowledge base whose entities have types, and the same cut into shards."""
    here = tmp_path_factory.mktemp("services")
    records = [
        record | {"types": record["name"].lower().split()} for record in read_lines(small_data / "entities.jsonl")
    ]
    write_lines(here / "entities.jsonl", records)
    source = EntityFile(here / "entities.jsonl", small_data)
    kb_build.build(here / "kb", source, run=small_run, counting=lambda title, total: lambda done: None)
    split(here / "shards", here / "kb", len(ADDRESSES))
    join_services(here / "set", ADDRESSES, 5.0)
    return here


@pytest.fixture(scope="module")
def services(folder: Path) -> Iterator[list[TestClient]]:
    with ExitStack() as running:
        clients = []
        for number in range(len(ADDRESSES)):
            source = ReadOnlySource(folder / "shards" / f"shard-{number:03d}")
            application = create_application(source, source.open(), ServiceSettings(wait=0.0))
            clients.append(running.enter_context(TestClient(application)))
        yield clients


@pytest.fixture
def wires(services: list[TestClient], monkeypatch: pytest.MonkeyPatch) -> dict[str, Wire]:
    ways = {str(urlsplit(address).hostname): Wire(client) for address, client in zip(ADDRESSES, services, strict=True)}

    def connected(service: ShardService) -> Any:
        return httpx2.Client(base_url=service.address, transport=ways[str(urlsplit(service.address).hostname)])

    monkeypatch.setattr(ShardService, "_connected", connected)
    monkeypatch.setattr(shard_service, "AGAIN", 0.0)
    return {address: ways[str(urlsplit(address).hostname)] for address in ADDRESSES}


@pytest.fixture
def remote(folder: Path, wires: dict[str, Wire]) -> Iterator[RemoteLinker]:
    with melder.load(folder / "set") as linker:
        assert isinstance(linker, RemoteLinker)
        yield linker


@pytest.fixture(scope="module")
def whole(folder: Path) -> Iterator[Linker]:
    with melder.load(folder / "kb") as linker:
        yield linker


@pytest.fixture(scope="module")
def questions(dataset: DataSet) -> list[dict[str, Any]]:
    mentions = [mention for mention in dataset.split("dev") if mention.start is not None][:10]
    return [
        {"text": each.text, "start": each.start, "end": each.end, "image": _picture(dataset, each)} for each in mentions
    ]


def _picture(dataset: DataSet, mention: Mention) -> Path | None:
    return dataset.mention_image(mention.images[0]) if mention.images else None


def same(found: Link, expected: Link) -> None:
    assert [each.name for each in found.candidates] == [
        {each.id: each.name for each in expected.candidates}[each.id] for each in found.candidates
    ]
    assert len(found.candidates) == len(expected.candidates)
    assert close([each.score for each in found.candidates], [each.score for each in expected.candidates], SCORE)
    assert (found.nil_probability is None) == (expected.nil_probability is None)
    if expected.nil_probability is not None:
        assert found.nil_probability == pytest.approx(expected.nil_probability, abs=1e-4)


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize("types", [(), ("kite",), ("panda", "fox", "red")])
def test_links_are_those_of_one_knowledge_base(
    remote: RemoteLinker, whole: Linker, questions: list[dict[str, Any]], k: int, types: tuple[str, ...]
) -> None:
    for found, expected in zip(
        remote.link(questions, k, types=types), whole.link(questions, k, types=types), strict=True
    ):
        same(found, expected)
        assert not found.partial
        assert "partial" not in found.model_dump()
        assert "missing" not in json.loads(found.model_dump_json())


def test_one_that_is_cut_off_is_missing_and_comes_back(
    remote: RemoteLinker, whole: Linker, folder: Path, wires: dict[str, Wire]
) -> None:
    asked, expected = "a red kite at dusk", whole.link("a red kite at dusk", 50)
    with melder.load(folder / "shards" / "shard-001") as lost:
        elsewhere = {candidate.id for candidate in lost.link(asked, 50).candidates}
    wires[ADDRESSES[1]].cut = True
    for _ in range(3):
        link = remote.link(asked, 50)
        assert link.partial
        assert link.missing == (ADDRESSES[1],)
        assert {each.id for each in link.candidates} == {each.id for each in expected.candidates} - elsewhere
        assert Link.model_validate_json(link.model_dump_json()) == link
    wires[ADDRESSES[1]].cut = False
    same(remote.link(asked, 50), expected)
    assert not remote.link(asked, 50).partial


def test_nobody_waits_for_one_that_is_known_to_be_away(
    remote: RemoteLinker, wires: dict[str, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_service, "AGAIN", 1000.0)
    wire = wires[ADDRESSES[0]]
    wire.cut = True
    assert remote.link("a").partial
    before, wire.cut = wire.asked, False
    assert remote.link("a").missing == ADDRESSES[:1]
    assert wire.asked == before


def test_none_that_answers_is_an_error(remote: RemoteLinker, wires: dict[str, Wire], folder: Path) -> None:
    for wire in wires.values():
        wire.cut = True
    with pytest.raises(MelderError, match="set: none of its services answers; start them"):
        remote.link("a kite")
    with pytest.raises(MelderError, match="set: none of its services answers; start them"):
        melder.load(folder / "set")
    with pytest.raises(MelderError, match=f"^{', '.join(ADDRESSES)}: none of its services answers; start them"):
        melder.load(ADDRESSES[0], shards=ADDRESSES[1:])
    for wire in wires.values():
        wire.cut = False
    assert not remote.link("a kite").partial


def test_a_password_in_an_address_is_not_repeated(wires: dict[str, Wire]) -> None:
    secret = ADDRESSES[0].replace("http://", "http://reader:hush@")
    wires[ADDRESSES[0]].cut = True
    with melder.load(secret, shards=ADDRESSES[1:]) as linker:
        assert linker.link("a kite").missing == ("http://reader:***@shard-0:8000",)
    with pytest.raises(MelderError, match="services have their own settings") as refused:
        melder.load(secret, shards=ADDRESSES[1:], device="cpu")
    assert "hush" not in str(refused.value)


def test_one_may_be_away_at_first(folder: Path, wires: dict[str, Wire], whole: Linker) -> None:
    wires[ADDRESSES[0]].cut = True
    with melder.load(ADDRESSES[0], shards=ADDRESSES[1:]) as linker:
        assert linker.link("a kite").missing == ADDRESSES[:1]
        wires[ADDRESSES[0]].cut = False
        same(linker.link("a red kite", 20), whole.link("a red kite", 20))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"<html>",
        [],
        {"results": []},
        {"generation": "1", "results": [{"links": []}]},
        {"generation": "1", "results": [{"links": [{"surface": "of tomorrow", "certainty": 1}]}]},
    ],
)
def test_what_another_version_answers_is_an_error(
    remote: RemoteLinker, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(ShardService, "_ask", lambda service, *question, **content: answer)
    with pytest.raises(MelderError, match=f"{ADDRESSES[0]}: is no `melder serve` of this version; upgrade it"):
        remote.link("a kite")


def test_another_model_is_refused(remote: RemoteLinker) -> None:
    described = remote.shards[2].description
    assert described is not None
    remote.shards[2].description = described.model_copy(update={"model": "other-1"})
    with pytest.raises(MelderError, match=f"{ADDRESSES[2]}: has the model other-1, and the others have"):
        remote.link("a kite")


def test_another_model_is_refused_when_services_are_opened(
    remote: RemoteLinker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ShardService._ask

    def other(service: ShardService, *question: Any, **content: Any) -> Any:
        answer = asked(service, *question, **content)
        return {**answer, "model": "other-1"} if service.address == ADDRESSES[1] else answer

    monkeypatch.setattr(ShardService, "_ask", other)
    with pytest.raises(MelderError, match=f"{ADDRESSES[1]}: has the model other-1"):
        melder.load(ADDRESSES[0], shards=ADDRESSES[1:])


def test_a_service_with_a_second_look_is_no_shard(folder: Path) -> None:
    """Its scores are log-probabilities among its own candidates, and cannot be merged with those of others."""
    source = ReadOnlySource(folder / "shards" / "shard-000", by_pairs(weight=0.5))
    application = create_application(source, source.open(), ServiceSettings(wait=0.0))
    with TestClient(application) as client:
        assert client.post("/link", json={"text": "a red kite"}).status_code == 200
        answer = client.get("/shard")
        assert (answer.status_code, "rerank.top=0" in answer.json()["error"]) == (409, True)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda linker: linker.link("a kite", types=["kit"]), "no entity has the type 'kit'"),
        (lambda linker: linker.link("a kite", 1000), "field 'k': is above 100"),
        (lambda linker: linker.ranks([]), "services tell no ranks"),
        (
            lambda linker: linker.link([Mention(id="7", text="a", start=None, end=None, surface="b")]),
            "mention '7': does",
        ),
        (lambda linker: linker.name_in(melder.records.languages_of("de")), "give --language to those"),
    ],
)
def test_what_services_cannot_do_is_said(remote: RemoteLinker, work: Any, message: str) -> None:
    with pytest.raises(MelderError, match=message):
        work(remote)


def test_further_knowledge_bases_are_one_with_the_first(folder: Path, whole: Linker, questions: list[Any]) -> None:
    paths = [folder / "shards" / f"shard-{number:03d}" for number in range(3)]
    with melder.load(paths[0], shards=paths[1:]) as linker:
        for found, expected in zip(linker.link(questions, 9), whole.link(questions, 9), strict=True):
            same(found, expected)
    with pytest.raises(MelderError, match=r"kb: holds 'Q\d+', as .*shard-000 does"):
        melder.load(paths[0], shards=[folder / "kb"])
    with pytest.raises(MelderError, match="either all directories or all addresses"):
        melder.load(paths[0], shards=ADDRESSES)
    with pytest.raises(MelderError, match="leave the data set out"):
        melder.load(paths[0], data=folder, shards=paths[1:])
    with pytest.raises(MelderError, match="services have their own settings"):
        melder.load(ADDRESSES[0], shards=ADDRESSES[1:], candidates="flat")


def test_the_command_line(
    folder: Path, wires: dict[str, Wire], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(["kb", "shard", str(tmp_path / "set"), *ADDRESSES, "--seconds", "2"], standalone_mode=False)
    assert shard_services(tmp_path / "set") == (ADDRESSES, 2.0)
    assert "in 3 services" in capsys.readouterr().err
    command(["link", str(tmp_path / "set"), "--text", "a red kite", "--json"], standalone_mode=False)
    assert "partial" not in json.loads(capsys.readouterr().out)
    wires[ADDRESSES[2]].cut = True
    status = command(["link", str(tmp_path / "set"), "--text", "a red kite", "--json"], standalone_mode=False)
    assert status == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["missing"] == [ADDRESSES[2]]
    assert f"the answer is partial: {ADDRESSES[2]} gave none in time" in told.err
    write_lines(tmp_path / "mentions.jsonl", [{"id": "1", "text": "a red kite", "mention": "kite"}])
    arguments = ["--input", str(tmp_path / "mentions.jsonl"), "--output", str(tmp_path / "links.jsonl")]
    assert command(["link", str(tmp_path / "set"), *arguments], standalone_mode=False) == 3
    assert read_lines(tmp_path / "links.jsonl")[0]["partial"] is True
    assert f"{ADDRESSES[2]}: gave no answer for 1 link, marked `partial`" in capsys.readouterr().err
    with pytest.raises(MelderError, match=f"{ADDRESSES[2]}: gives no answer; start `melder serve` there"):
        command(["kb", "shard", str(tmp_path / "other"), *ADDRESSES], standalone_mode=False)
    for wrong in (["kb", "info", str(tmp_path / "set")], ["kb", "shard", str(tmp_path / "x"), "kb", ADDRESSES[0]]):
        with pytest.raises(MelderError):
            command(wrong, standalone_mode=False)


def test_a_service_of_services(folder: Path, wires: dict[str, Wire], whole: Linker) -> None:
    source = RemoteSource(folder / "set")
    with TestClient(create_application(source, source.open(), ServiceSettings(wait=0.0))) as client:
        request = {"text": "a red kite", "mentions": [{"start": 2, "end": 10}], "k": 5}
        answer = client.post("/link", json=request).json()
        expected = whole.link("a red kite", 5, mention="red kite")
        same(Link.model_validate(answer["links"][0]), expected.model_copy(update={"id": "0"}))
        assert client.get("/shard").json()["entities"] == len(whole.knowledge_base.entities)
        identity = expected.candidates[0].id
        assert client.get(f"/entities/{identity}").json()["name"] == expected.candidates[0].name
        assert client.get("/entities/nobody").status_code == 404
        before = sum(wire.asked for wire in wires.values())
        described = client.post("/link", params={"entities": True}, json=request | {"k": 12}).json()["entities"]
        rounds = 2 * len(wires) + len(wires) * len(described)  # of links at most two; of records one a candidate
        assert sum(wire.asked for wire in wires.values()) - before <= rounds
        for row in whole.knowledge_base.rows(list(described)).items():
            assert described[row[0]]["picture"] == whole.knowledge_base.has_picture(row[1])
        suggested = client.get("/reconcile/suggest/entity", params={"prefix": "kite"}).json()["result"]
        assert {each["name"].split()[-1] for each in suggested} == {"kite"}
        wires[ADDRESSES[0]].cut = True
        partial = client.post("/link", json=request).json()["links"][0]
        assert partial["partial"] is True
        assert partial["missing"] == [ADDRESSES[0]]
        wires[ADDRESSES[0]].cut = False
        assert client.post("/link", json=request).json()["links"][0] == answer["links"][0]
