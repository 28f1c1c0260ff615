"""Pictures by web address: server-side request forgery, redirects and DNS rebinding are played, and gain nothing.

A server on this machine stands for the internet: addresses are looked up in a table, and dialling is written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient

from melder.serving.addresses import ServiceAddress
from melder.serving.errors import ApiError
from melder.serving.fetching import Fetcher
from melder.serving.settings import ServiceSettings
from serving.conftest import Start
from serving.toy import ToyLinker, picture

PUBLIC, OTHER = "93.184.215.14", "1.1.1.1"
ALLOWED = ("pictures.example", ".cdn.example")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def found(content: bytes) -> bytes:
    return OK % len(content) + content


def moved(to: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


class Internet:
    """Names and their addresses (the next one each time, the last for ever), and what is answered to each request."""

    def __init__(self, answers: Sequence[bytes] = (), **names: Sequence[Sequence[str]]) -> None:
        self.names = {"pictures.example": [[PUBLIC]]} | {
            name.replace("_", "."): list(each) for name, each in names.items()
        }
        self.answers = list(answers)
        self.lookups: list[str] = []
        self.dialled: list[tuple[str, str, int]] = []
        self.requests: list[bytes] = []
        self.pause = 0.0

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append(host)
        if host not in self.names:
            raise OSError("no such name")
        turns = self.names[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]

    async def dial(self, place: ServiceAddress, address: str) -> Any:
        self.dialled.append((place.scheme, address, place.port))
        reader = asyncio.StreamReader()
        answer = self.answers.pop(0)

        async def feed() -> None:
            for start in range(0, len(answer), 40 if self.pause else 65_536):
                reader.feed_data(answer[start : start + (40 if self.pause else 65_536)])
                await asyncio.sleep(self.pause)
            reader.feed_eof()

        self.feeding = asyncio.ensure_future(feed())
        return reader, _Writer(self.requests)


class _Writer:
    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests

    def write(self, data: bytes) -> None:
        self._requests.append(data)

    async def drain(self) -> None: ...

    def close(self) -> None: ...


def fetch(internet: Internet, url: str, **settings: Any) -> bytes:
    fetcher = Fetcher(ServiceSettings(picture_hosts=ALLOWED, **settings), internet.lookup, internet.dial)
    return asyncio.run(fetcher.fetch(url))


def refusal(internet: Internet, url: str, **settings: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        fetch(internet, url, **settings)
    return error.value


def test_a_picture_is_fetched_from_the_checked_address() -> None:
    internet = Internet([found(picture())])
    assert fetch(internet, "http://pictures.example/flags/gn.png?size=1#top") == picture()
    assert internet.dialled == [("http", PUBLIC, 80)]
    request = b"".join(internet.requests).decode()
    assert request.startswith("GET /flags/gn.png?size=1 HTTP/1.1\r\n")
    names = {line.split(":")[0].lower() for line in request.strip().splitlines()[1:]}
    assert names == {"host", "accept", "accept-encoding", "connection"}  # no cookie, no credentials, no referrer


def test_fetching_is_off_by_default(client: TestClient, linker: ToyLinker) -> None:
    asked = {"text": "Guinea", "mentions": [{"start": 0, "end": 6}], "image": "http://169.254.169.254/latest/meta-data"}
    answer = client.post("/link", json=asked)
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("this service does not fetch pictures")
    assert linker.seen == []


def test_a_service_that_fetches_links_what_it_fetched(start: Start) -> None:
    internet = Internet([found(picture()), b"HTTP/1.1 200 OK\r\n\r\nroot:x:0:0"])
    settings = ServiceSettings(picture_hosts=ALLOWED)
    client = start(fetcher=Fetcher(settings, internet.lookup, internet.dial))
    asked = {"text": "Guinea", "mentions": [{"start": 0, "end": 6}], "image": "http://pictures.example/a.png"}
    assert client.post("/link", json=asked).status_code == 200
    secret = client.post("/link", json=asked)
    assert secret.status_code == 422
    assert "root" not in secret.text


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://elsewhere.example/",
        "http://pictures.example.evil.example/",
        "http://evilpictures.example/",
        "http://cdn.example/",  # only names below it are allowed
        "http://pictures.example@evil.example/",
        "http://user:password@pictures.example/",
        "http://pictures.example:22/",
        "http://pictures.example:port/",
        "http://pictures.example\\@evil.example/",
        "http://pictures.example/\r\nX-Injected: 1",
        "http://pictures.example/ü.png",
        "http://pictures.exämple/",
        "http://pictures.example/" + "a" * 3000,
        "http:///a.png",
        "https:pictures.example",
        "http://",
    ],
)
def test_addresses_that_are_not_allowed_are_never_looked_up(url: str) -> None:
    internet = Internet()
    assert refusal(internet, url).status_code == 403
    assert (internet.lookups, internet.dialled) == ([], [])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://pictures.example/", "gopher://pictures.example/", "//x/y"]
)
def test_other_schemes_are_no_addresses_at_all(client: TestClient, url: str) -> None:
    answer = client.post("/link", json={"text": "Guinea", "mentions": [{"start": 0, "end": 6}], "image": url})
    assert answer.status_code == 422
    assert refusal(Internet(), url).status_code == 403


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::ffff:93.184.215.14",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::7f00:1",
        "nonsense",
    ],
)
@pytest.mark.parametrize("beside", [(), (PUBLIC,)], ids=["alone", "beside a public one"])
def test_a_name_that_leads_inside_is_not_dialled(address: str, beside: tuple[str, ...]) -> None:
    internet = Internet(pictures_example=[[*beside, address]])
    error = refusal(internet, "http://pictures.example/a.png")
    assert error.status_code == 403
    assert address not in error.detail
    assert internet.dialled == []


def test_dns_rebinding_gains_nothing() -> None:
    """The name is public when it is checked and this machine's the next time: it is looked up only once."""
    internet = Internet([found(picture())], pictures_example=[[PUBLIC], ["127.0.0.1"]])
    assert fetch(internet, "http://pictures.example/a.png") == picture()
    assert internet.lookups == ["pictures.example"]
    assert internet.dialled == [("http", PUBLIC, 80)]


def test_dns_rebinding_on_a_redirect_is_seen() -> None:
    internet = Internet([moved("/b.png")], pictures_example=[[PUBLIC], ["169.254.169.254"]])
    assert refusal(internet, "http://pictures.example/a.png").status_code == 403
    assert internet.dialled == [("http", PUBLIC, 80)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_where_they_are_allowed(status: int) -> None:
    answers = [moved("b.png", status), moved("//a.cdn.example/c.png", status), found(picture())]
    internet = Internet(answers, a_cdn_example=[[OTHER]])
    assert fetch(internet, "http://pictures.example/x/a.png") == picture()
    assert internet.dialled == [("http", PUBLIC, 80), ("http", PUBLIC, 80), ("http", OTHER, 80)]
    assert [each.split()[1] for each in internet.requests] == [b"/x/a.png", b"/x/b.png", b"/c.png"]


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/metrics",
        "http://elsewhere.example/a.png",
        "http://pictures.example:22/",
        "file:///etc/passwd",
        "http://inside.cdn.example/",
    ],
)
def test_a_redirect_is_checked_like_the_first_address(to: str) -> None:
    internet = Internet([moved(to)], inside_cdn_example=[["10.0.0.1"]])
    assert refusal(internet, "http://pictures.example/a.png").status_code == 403
    assert internet.dialled == [("http", PUBLIC, 80)]


def test_more_than_three_redirects_are_too_many() -> None:
    internet = Internet([moved("/a.png")] * 9)
    assert refusal(internet, "http://pictures.example/a.png").status_code == 403
    assert len(internet.dialled) == 4


def test_https_never_becomes_http() -> None:
    internet = Internet([moved("http://pictures.example/a.png")])
    assert refusal(internet, "https://pictures.example/a.png").status_code == 403
    assert internet.dialled == [("https", PUBLIC, 443)]


@pytest.mark.parametrize(
    "answer",
    [
        found(bytes(5_000)),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + bytes(5_000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n%s\r\n" % bytes(1024) * 5,
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(5_000),
    ],
    ids=["length", "false length", "chunks", "until it closes"],
)
def test_bytes_are_counted_while_they_come(answer: bytes) -> None:
    error = refusal(Internet([answer]), "http://pictures.example/a.png", picture_bytes=2_000)
    assert (error.status_code, error.detail) == (422, "the picture is larger than 2,000 bytes")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 500 Oh\r\n\r\n",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        b"",
    ],
    ids=["404", "500", "nowhere", "no HTTP", "cut", "headers", "nothing"],
)
def test_what_is_no_picture_is_a_502_that_tells_nothing(answer: bytes) -> None:
    internet = Internet([answer])
    error = refusal(internet, "http://pictures.example/a.png")
    assert error.status_code == 502
    assert "secret" not in error.detail
    assert "OpenSSH" not in error.detail


def test_a_host_that_trickles_is_given_up() -> None:
    internet = Internet([found(bytes(100_000))])
    internet.pause = 0.02
    error = refusal(internet, "http://pictures.example/a.png", picture_seconds=0.2)
    assert (error.status_code, error.detail) == (502, "the picture's host did not answer in time")


def test_an_unknown_host_is_a_502() -> None:
    assert refusal(Internet(), "http://nobody.cdn.example/").status_code == 502


def test_the_real_dialler_reaches_the_address_it_is_given() -> None:
    """A server on this machine is dialled by its address, whatever the name would resolve to."""
    from melder.serving.fetching import dial

    async def play() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(found(picture()))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        local: Callable[..., Any] = lambda place, address: dial(  # noqa: E731
            ServiceAddress(place.scheme, place.host, port, place.target), "127.0.0.1"
        )
        fetcher = Fetcher(ServiceSettings(picture_hosts=ALLOWED), Internet().lookup, local)
        async with server:
            return await fetcher.fetch("http://pictures.example/a.png")

    assert asyncio.run(play()) == picture()
