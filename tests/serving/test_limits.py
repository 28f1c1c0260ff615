"""Floods, bombs and other hostile input; each test plays an attack and looks at what it gets."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from starlette.testclient import TestClient

from melder.data.pictures import Limits, read_picture
from serving.conftest import Start
from serving.toy import ToyLinker, ToySource, picture

ASKED = {"text": "Guinea won", "mentions": [{"start": 0, "end": 6}], "k": 1}
BOUNDARY = "multipart/form-data; boundary=x"


def body_of(headers: str, content: bytes = b"") -> bytes:
    return b"--x\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


def test_a_body_that_says_it_is_too_large_is_not_read(start: Start) -> None:
    client = start(body=1000)
    answer = client.post("/link", content=b"x" * 2000)
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("the request is larger than 1,000 bytes")


@pytest.mark.parametrize("content_type", ["application/json", BOUNDARY, "application/x-www-form-urlencoded"])
def test_a_body_of_unknown_length_is_counted_while_it_is_read(start: Start, content_type: str) -> None:
    """An endless body (Starlette's CVE-2024-47874 among the reasons): the reading stops at the limit."""
    client = start(body=100_000)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
        for _ in range(10_000):
            sent += 10_000
            yield b"a" * 10_000

    path = "/reconcile" if "urlencoded" in content_type else "/link"
    answer = client.post(path, content=endless(), headers={"Content-Type": content_type})
    assert answer.status_code == 413
    assert "error" in answer.json()


def test_all_bodies_together_have_a_limit(start: Start, source: ToySource) -> None:
    client = start(bodies=5_000)
    assert client.post("/link", content=b"x" * 6_000).status_code == 503
    assert client.post("/link", json=ASKED).status_code == 200  # what was refused is held no longer
    assert "melder_body_bytes 0.0" in client.get("/metrics").text


def test_a_body_that_trickles_in_is_given_up(start: Start) -> None:
    client = start(body_seconds=0.2)

    def trickle() -> Iterator[bytes]:
        for _ in range(20):
            time.sleep(0.05)
            yield b" "

    answer = client.post("/link", content=trickle())
    assert answer.status_code in (408, 422)


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % each for each in range(5_000)),
        b"".join(
            b'--x\r\nContent-Disposition: form-data; name="f%d"; filename="a"\r\n\r\n1\r\n' % each
            for each in range(5_000)
        ),
        body_of("\r\n".join(f"X-Header-{each}: 1" for each in range(50_000))),  # CVE-2026-42561
        body_of("X-Long: " + "a" * 1_000_000),
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\na\r\n' * 2 + b"--x--\r\n",
        body_of("Content-Disposition: form-data"),
        b"\r\n" * 1_000_000,
        b"",
    ],
    ids=["fields", "files", "headers", "long header", "twice", "no name", "preamble", "empty"],
)
def test_floods_of_form_parts_are_refused(client: TestClient, linker: ToyLinker, flood: bytes) -> None:
    answer = client.post("/link", content=flood, headers={"Content-Type": BOUNDARY})
    assert answer.status_code in (400, 422)
    assert list(answer.json()) == ["error"]
    assert linker.seen == []


def test_floods_of_url_encoded_fields_are_refused(client: TestClient) -> None:
    fields = "&".join(f"f{each}=1" for each in range(50_000))
    answer = client.post("/reconcile", content=fields, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 400


def test_a_text_with_too_many_mentions_or_characters_is_refused(client: TestClient) -> None:
    mentions = [{"start": 0, "end": 6}] * 129
    assert client.post("/link", json=ASKED | {"mentions": mentions}).status_code == 413
    assert client.post("/link", json=ASKED | {"text": "Guinea" * 4_000}).status_code == 413
    assert client.post("/link/batch", json={"requests": [ASKED] * 65}).status_code == 413
    assert client.post("/link/batch", json={"requests": [ASKED | {"mentions": mentions[:3]}] * 50}).status_code == 413


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


def gif_of_many_frames() -> bytes:
    frames = [Image.new("P", (50, 50), each) for each in range(30)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (bomb(50_000, 50_000), "pixels"),
        (bomb(5_001, 5_000), "is more than 25,000,000 pixels"),
        (picture(form="TIFF"), "not a picture in one of the formats"),
        (picture(form="BMP"), "not a picture in one of the formats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture in one of the formats"),
        (picture(size=(300, 300), form="JPEG")[:900], "damaged or cut short"),
        (picture(size=(1, 1)), "is smaller than 2×2"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    ],
    ids=["bomb", "large", "TIFF", "BMP", "EPS", "cut", "pixel", "SVG"],
)
@pytest.mark.parametrize("form", [True, False], ids=["form", "JSON"])
def test_hostile_pictures_never_reach_the_queue(
    client: TestClient, linker: ToyLinker, content: bytes, reason: str, form: bool
) -> None:
    if form:
        fields = {"text": ASKED["text"], "mentions": json.dumps(ASKED["mentions"])}
        answer = client.post("/link", data=fields, files={"image": content})
    else:
        answer = client.post("/link", json=ASKED | {"image": base64.b64encode(content).decode()})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("the picture given: ")
    assert reason in answer.json()["error"]
    assert linker.seen == []


def test_a_picture_above_the_byte_limit_is_refused(start: Start) -> None:
    client = start(picture_bytes=200)
    image = base64.b64encode(picture(size=(200, 200)) + bytes(300)).decode()
    answer = client.post("/link", json=ASKED | {"image": image})
    assert answer.json()["error"] == "the picture given: larger than 200 bytes; save a smaller one"


def test_only_the_first_frame_of_an_animation_counts(client: TestClient) -> None:
    image = base64.b64encode(gif_of_many_frames()).decode()
    assert client.post("/link", json=ASKED | {"image": image}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/link/../../etc/passwd", "/redoc", "/entities/nobody", "/reconcile/preview?id=%00"]
)
def test_what_is_not_there_is_a_sentence_that_names_no_file(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 405)
    assert list(answer.json()) == ["error"]
    assert "/work" not in answer.text
    assert "site-packages" not in answer.text


def test_every_answer_has_security_headers_and_names_no_server(client: TestClient) -> None:
    for answer in (
        client.get("/healthz"),
        client.get("/nothing"),
        client.put("/link"),
        client.post("/link", content=b"{"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "", "localhost:80, evil.example", "localhost.evil:8000", "[::2]:8000"],
)
def test_another_name_in_the_host_header_is_refused(start: Start, host: str) -> None:
    """DNS rebinding: a site makes its own name point at this machine, and its pages then read the service."""
    client = start(hosts=("localhost", "127.0.0.1", "[::1]"))
    assert client.get("/readyz", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]", "[::1]:8000", "LOCALHOST:1"])
def test_names_of_this_machine_are_answered(start: Start, host: str) -> None:
    client = start(hosts=("localhost", "127.0.0.1", "[::1]"))
    assert client.get("/readyz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/", "/entities/GN", "/reconcile", "/nothing"])
def test_head_answers_as_get_does_without_a_body(client: TestClient, path: str) -> None:
    head, whole = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_measures_label_routes_and_not_paths(client: TestClient) -> None:
    """A label for each path would let anyone fill the memory."""
    for number in range(5):
        client.get(f"/entities/e{number}")
        client.get(f"/nothing/{number}")
    text = client.get("/metrics").text
    assert 'melder_requests_total{route="other",status="404"} 5.0' in text
    assert 'melder_requests_total{route="/entities/{identity}",status="404"} 5.0' in text
    assert "e3" not in text.replace("e3}", "")


def test_a_flood_of_pictures_is_refused_before_it_is_decoded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding has few threads: what waits for one counts as waiting for the model does."""
    go, decode = threading.Event(), read_picture

    def slow(content: bytes, *, limits: Limits) -> Image.Image:
        assert go.wait(60)
        return decode(content, limits=limits)

    monkeypatch.setattr("melder.data.pictures.read_picture", slow)
    client = start(queue=3, mentions=3, queries=3, decoders=1)
    pictures = client.app.state.service.pictures  # type: ignore
    asked = ASKED | {"image": base64.b64encode(picture()).decode()}
    with ThreadPoolExecutor(4) as others:
        begun = [others.submit(client.post, "/link", json=asked) for _ in range(4)]
        until = time.monotonic() + 120
        while pictures.waiting < 3:  # and one is being decoded
            assert time.monotonic() < until
            time.sleep(0.01)
        refused = client.post("/link", json=asked)
        query = {"query": "Guinea", "properties": [{"pid": "image", "v": asked["image"]}]}
        batch = client.post("/link/batch", json={"requests": [ASKED, asked]})
        reconciled = client.post("/reconcile", data={"queries": json.dumps({"q": query})})
        go.set()
        assert [each.result().status_code for each in begun] == [200] * 4
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    assert (reconciled.status_code, batch.status_code) == (503, 503)
