"""What the clients of benchmarks/soak.py ask, and whether the answers are right."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacks import ATTACKS, FORM, NIF, Attack, as_form, as_json
from soak_service import SoakService

import melder
from melder.data import DataSet, load
from melder.records import Mention

__all__ = ["Changes", "Client", "Hostile", "Usual"]

PREFIX = "soak-"  # of the ids of entities that come and go
MENTIONS = 40
CHANGING_ENTITIES = 12
K = 20  # candidates: those entities may take the first places, and some of the others must be left to compare
NEAR = 1e-4  # of a score: rounding, in whatever batch a mention is linked
# Depend on what else is in the knowledge base; `exemplars` is nought for entities that were taught nothing.
CHANGING = ("generation", "entities", "nil_probability", "exemplars")
JSON = "application/json"
Answer = tuple[int, bytes]


class Client:
    """A connection that is used again and again, and opened anew where the service has ended it."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)

    def send(self, path: str, body: bytes | None, kind: str = JSON, token: str = "", method: str = "") -> Answer:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        verb = method or ("GET" if body is None else "POST")
        try:
            return self._send(verb, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):  # it was idle for too long
            self.close()
            return self._send(verb, path, body, headers)

    def _send(self, verb: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        self._connection.request(verb, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        self._connection.close()


@dataclass
class Request:
    """One that any client may send, and its answer before any change."""

    kind: str
    path: str
    body: bytes | None
    content_type: str = JSON
    expected: Any = None


def meant(content: bytes) -> Any:
    """What an answer says, without what comes and goes: generations, and entities of the changes."""
    try:
        return without(json.loads(content))
    except ValueError:  # NIF
        return sorted(set(re.findall(rb"taIdentRef\s+<?([^\s>;.]+)", content)))


def without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without(inner) for name, inner in value.items() if name not in CHANGING}
    if isinstance(value, list):
        return [without(inner) for inner in value if not (isinstance(inner, dict) and comes_and_goes(inner.get("id")))]
    return value


def comes_and_goes(identity: object) -> bool:
    return isinstance(identity, str) and (identity.startswith(PREFIX) or identity in CHANGING)


def difference(first: Any, second: Any, place: str = "") -> str | None:
    """Where two answers differ by more than rounding; ends of lists from which entities that came since have driven
    others do not count."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        pairs = [(first[name], second[name], f"{place}.{name}") for name in first]
    elif isinstance(first, list) and isinstance(second, list) and (first == second or min(len(first), len(second))):
        pairs = [(*pair, f"{place}[{number}]") for number, pair in enumerate(zip(first, second, strict=False))]
    elif isinstance(first, float) and isinstance(second, float) and abs(first - second) <= NEAR * max(1.0, abs(first)):
        return None
    else:
        return None if first == second else f"{place}: {str(first)[:200]} became {str(second)[:200]}"
    return next(filter(None, (difference(*pair) for pair in pairs)), None)


class Usual:
    """Requests of all kinds, in turn."""

    def __init__(self, url: str, knowledge_base: Path, data: Path) -> None:
        dataset = load(data)
        mentions = [mention for mention in dataset.split("test") if mention.image and mention.start is not None]
        self.requests = list(requests(dataset, mentions[:MENTIONS]))
        client = Client(url)
        for request in self.requests:
            status, content = client.send(request.path, request.body, request.content_type)
            assert status == 200, (request.kind, status, content)
            request.expected = meant(content)
        client.close()
        self._check_links(knowledge_base, dataset, mentions[:MENTIONS])

    def _check_links(self, knowledge_base: Path, dataset: DataSet, mentions: list[Mention]) -> None:
        """What is compared with is what `melder.load` says."""
        links = [request.expected["links"][0] for request in self.requests if request.kind == "link, picture"]
        with melder.load(knowledge_base) as linker:
            for mention, link in zip(mentions, links, strict=True):
                image = dataset.mention_image(str(mention.image))
                [own] = linker.link([mention.model_copy(update={"image": str(image)})], k=K)
                served = [[candidate["id"], candidate["score"]] for candidate in link["candidates"]]
                wrong = difference([[candidate.id, candidate.score] for candidate in own.candidates], served)
                assert wrong is None, (mention, wrong)

    def ask(self, client: Client, order: int) -> tuple[str, str | None]:
        """The kind, and what was wrong with the answer."""
        request = self.requests[order % len(self.requests)]
        try:
            status, content = client.send(request.path, request.body, request.content_type)
        except OSError as error:
            client.close()
            return request.kind, repr(error)
        if status != 200:
            return request.kind, f"status {status}: {content[:200]!r}"
        return request.kind, difference(request.expected, meant(content))


def requests(dataset: DataSet, mentions: list[Mention]) -> Iterator[Request]:
    """Eleven of each mention, so that every kind comes as often."""
    for mention in mentions:
        link = {"text": mention.text, "mentions": [{"start": mention.start, "end": mention.end}], "k": K}
        picture = base64.b64encode(dataset.mention_image(str(mention.image)).read_bytes()).decode()
        entity = next(entity for entity in dataset.entities if entity.id == mention.answer)
        found = {"text": f"{entity.name} played. {mention.text}", "k": K}
        yield Request("link", "/link", as_json(link))
        yield Request("link, picture", "/link", as_json(link | {"image": picture}))
        yield Request("link, mentions found", "/link?entities=true", as_json(found))
        yield Request("batch", "/link/batch", as_json({"requests": [link, found, link | {"image": picture}]}))
        yield Request("explain", "/explain", as_json(link | {"image": picture}))
        yield Request("reconcile", "/reconcile", as_form("queries", {"q": {"query": entity.name, "limit": K}}), FORM)
        yield Request("extend", "/reconcile", extend(entity.id), FORM)
        yield Request("suggest", f"/reconcile/suggest/entity?prefix={urllib.parse.quote(entity.name[:4])}", None)
        yield Request("record", f"/entities/{entity.id}", None)
        yield Request("nif", "/nif", document(found["text"]), "text/turtle")
        yield Request("health", "/healthz", None)


def extend(identity: str) -> bytes:
    return as_form("extend", {"ids": [identity], "properties": [{"id": "description"}, {"id": "types"}]})


def document(text: object) -> bytes:
    return (NIF + f"<urn:d> a nif:Context ; nif:isString {json.dumps(text)} .\n").encode()


class Hostile:
    """The attacks of benchmarks/attacks.py in turn, and connections that say nothing, drip, or do not read."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._url, self._address = url, (str(parts.hostname), int(parts.port or 0))
        self._attacks: list[Attack | bytes] = [*ATTACKS, b"", b"GET /healthz HTTP/1.1\r\nHost: local",
                      b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20]  # fmt: skip
        self._bodies = dict[str, bytes]()
        self._open = list[socket.socket]()

    def play(self, number: int) -> tuple[str, str | None]:
        """The kind, and what was wrong: an error of the service's own, or a refusal that is no JSON."""
        attack = self._attacks[number % len(self._attacks)]
        if isinstance(attack, bytes):
            return "connections", self._hold(attack)
        if attack.name not in self._bodies:
            self._bodies[attack.name] = attack.body()
        client = Client(self._url)
        try:
            status, content = client.send(attack.path, self._bodies[attack.name], attack.content_type)
        except OSError:  # closed while the body was being sent: it was too large
            return attack.name, None
        finally:
            client.close()
        refused = status in (400, 408, 413, 422, 503, 504) and b'"error"' in content
        return attack.name, None if refused or status == 200 else f"status {status}: {content[:200]!r}"

    def _hold(self, sent: bytes) -> str | None:
        """Thirty connections, until it is this attack's turn again."""
        self.close()
        try:
            for _ in range(30):
                connection = socket.create_connection(self._address, timeout=30)
                connection.sendall(sent)
                self._open.append(connection)
        except OSError as error:
            return repr(error)
        return None

    def close(self) -> None:
        while self._open:
            with suppress(OSError):
                self._open.pop().close()


class Changes:
    """Twelve entities that are added, replaced, taught a mention and removed in turn; each has a type of its own."""

    def __init__(self, service: SoakService) -> None:
        self._client, self._token = Client(service.url), service.token

    def make(self, number: int) -> str | None:
        """What was wrong: a refusal, or links to what is not as the change left it."""
        identity, step, turn = (
            f"{PREFIX}{number % CHANGING_ENTITIES}",
            number // CHANGING_ENTITIES % 4,
            number // (4 * CHANGING_ENTITIES),
        )
        name = f"Qzxv {number % CHANGING_ENTITIES} Wkjh {turn}"
        entity = {"id": identity, "name": name, "description": f"Number {number}.", "types": [identity]}
        path, token = f"/entities/{identity}", self._token
        example = {"text": f"the one called vvv{number}", "start": 15, "end": 18 + len(str(number))}
        verb, where, sent, wanted = [
            ("POST", "/entities", entity, 201),
            ("PUT", path, entity | {"name": name + " again"}, 200),
            ("POST", path + "/exemplars", example, 201),
            ("DELETE", path, None, 200),
        ][step]
        try:
            status, content = self._client.send(where, None if sent is None else as_json(sent), JSON, token, verb)
            if status != wanted:
                return f"{verb} {where}: {status}: {content[:200]!r}"
            names = [] if step == 3 else [name + (" again" if step else "")]
            return self._linked(identity, names)
        except OSError as error:
            self._client.close()
            return repr(error)

    def _linked(self, identity: str, names: list[str]) -> str | None:
        """At once it is linked to by the name that it has now, or not any more."""
        asked = {"text": "Qzxv won", "mentions": [{"start": 0, "end": 4}], "types": [identity]}
        status, content = self._client.send("/link", as_json(asked))
        if not names and status == 422 and identity in content.decode():  # nothing has its type any more
            return None
        if status != 200:
            return f"/link: {status}: {content[:200]!r}"
        linked = [one["name"] for one in json.loads(content)["links"][0]["candidates"]]
        return None if linked == names else f"{identity}: linked to {linked} instead of {names}"
