"""Small requests that would cost much: each is refused before it costs anything, by counts and never by times."""

from __future__ import annotations

import base64
import json
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from melder.encoders import pixels
from melder.serving import DataSetSource, create_application
from melder.serving.errors import ApiError
from melder.serving.forms import url_decoded
from melder.serving.limits import body_route as bodies
from melder.serving.limits import json_bounds
from melder.serving.limits.json_bounds import check_json
from melder.serving.limits.log_limit import RateLimit
from melder.serving.settings import ServiceSettings
from serving.conftest import Start
from serving.toy import ToyLinker, picture

ASKED = {"text": "Guinea won", "mentions": [{"start": 0, "end": 6}], "k": 1}
SPAN = {"start": 0, "end": 6}


def test_a_flood_of_values_is_refused_before_it_is_parsed(
    client: TestClient, linker: ToyLinker, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = list[int]()
    monkeypatch.setattr(bodies, "parsed", lambda kind, content: parsed.append(len(content)))
    empty, zeros = b",".join([b"{}"] * 100_000), b",".join([b"0"] * 100_000)
    floods = {
        "/link": [
            b'{"text": "a", "mentions": [%s]}' % empty,
            b'{"text": "a", "types": [%s]}' % b",".join([b'"a"'] * 100_000),
            b'{"text": "a", %s}' % b",".join(b'"k%d": 1' % number for number in range(100_000)),
            b"[" * 100_000,
            b'{"text": %s' % (b'"' * 100_000),
        ],
        "/link/batch": [b'{"requests": [%s]}' % zeros, b'{"requests": [%s]}' % empty],
        "/explain": [b'{"text": "a", "mentions": [%s]}' % empty],
    }
    for path, contents in floods.items():
        for content in contents:
            answer = client.post(path, content=content)
            assert (answer.status_code, list(answer.json())) == (413, ["error"]), content[:60]
            assert "values; send less at once" in answer.json()["error"]
    assert (parsed, linker.seen) == ([], [])


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("queries", {"q": {"query": "x", "properties": [{"pid": "p", "v": [{}] * 100_000}]}}),
        ("queries", {"q": {"query": "x", "properties": [{"pid": "p", "v": [[]] * 100_000}]}}),
        ("queries", {str(number): {} for number in range(50_000)}),
        ("queries", {"q": {"query": "x", "type": ["a"] * 100_000}}),
        ("extend", {"ids": ["a"] * 1_000_000, "properties": []}),
        ("extend", {"ids": [], "properties": [{}] * 100_000}),
    ],
)
def test_a_flood_in_a_field_of_a_form_is_refused(client: TestClient, field: str, content: Any) -> None:
    answer = client.post("/reconcile", data={field: json.dumps(content)})
    assert answer.status_code == 413
    assert "values; send less at once" in answer.json()["error"]


def test_a_list_of_mistakes_makes_one_error(client: TestClient) -> None:
    """Of those that are few enough to be parsed: pydantic stops at the first."""
    body = {"text": "a", "mentions": [{}] * 5_000}
    tracemalloc.start()
    answer = client.post("/link", json=body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.json()["error"] == "field 'mentions.0.start': is missing; add it"
    assert most < 8_000_000
    batch = client.post("/link/batch", json={"requests": [0] * 5_000})
    assert batch.json()["error"] == "there are 5000 texts; send at most 64 together"
    v = {"q": {"query": "x", "properties": [{"pid": "p", "v": [{}] * 5_000}]}, "good": {"query": "Guinea"}}
    answer = client.post("/reconcile", data={"queries": json.dumps(v)})
    assert answer.json()["q"]["error"] == "field 'properties.0.v.0.entity.id': is missing; add it"


def test_text_counts_and_pictures_do_not() -> None:
    settings = ServiceSettings(json_bytes=10_000)
    check_json(b'{"image": "%s"}' % base64.b64encode(bytes(1_000_000)), settings)
    check_json(b'{"image": "data:image/png;base64,%s"}' % base64.b64encode(bytes(1_000_000)), settings)
    check_json(b'{"image": "%s"}' % base64.encodebytes(bytes(100_000)).replace(b"\n", b"\\n"), settings)
    for text in (b"a b " * 5_000, "ä".encode() * 5_000, b"\\u00e4" * 5_000, b"\\\\" * 5_001):
        with pytest.raises(ApiError, match="besides pictures"):
            check_json(b'{"text": "%s %s"}' % (text, text), settings)


LONG_TEXTS = {
    "letters": b"A" * 2_000_000,
    "lines": b"A\\n" * 600_000,
    "line breaks": b"\\n" * 1_000_000,
    "quotes": b'\\"' * 1_000_000,
    "backslashes": b"\\" * 2_000_000,
    "words": b"a b " * 500_000,
}


@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_looking_at_a_long_text_takes_no_memory(text: bytes) -> None:
    content = b'{"image": "data:image/png;base64,%s"}' % text
    tracemalloc.start()
    with suppress(ApiError):
        check_json(content, ServiceSettings())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


def test_a_string_ends_where_it_ends_whatever_is_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    content = rb'{"a": "b\\", "c\"d": [1, "\n\\\"e", ""], "f": "g'
    whole = list(json_bounds._values(content))
    for length in range(2, 12):
        monkeypatch.setattr(json_bounds, "PIECE", length)
        assert list(json_bounds._values(content)) == whole
    texts = [content[start:end] for start, end in whole if end > start]
    assert texts == [b"a", rb"b\\", rb"c\"d", rb"\n\\\"e", b"f", b"g"]


def test_a_large_body_is_parsed_in_another_thread(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, parse = dict[int, str](), bodies.parsed

    def noted(kind: Any, content: bytes) -> Any:
        threads[len(content)] = threading.current_thread().name
        return parse(kind, content)

    monkeypatch.setattr(bodies, "parsed", noted)
    small, large = json.dumps(ASKED), json.dumps(ASKED | {"image": "A" * 100_000})
    client.post("/link", content=small)
    client.post("/link", content=large)
    assert threads[len(small)] != threads[len(large)]
    assert "AnyIO worker" in threads[len(large)]


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (b"Guinea+won%21", "Guinea won!"),
        (b"a%3Db=c", "a=b=c"),
        (b"%C3%A4%e4%b8%ad", "ä中"),
        (b"line%0D%0Abreak%20", "line\r\nbreak "),
        (b"%25%3d%3D", "%=="),
        (b"%FF", "�"),
    ],
)
def test_fields_are_decoded_as_browsers_encode_them(encoded: bytes, text: str) -> None:
    assert url_decoded(encoded) == text


@pytest.mark.parametrize("broken", [b"%", b"%4", b"%zz", b"100%+sure"])
def test_a_field_that_is_not_percent_encoded_is_refused(client: TestClient, broken: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("/reconcile", content=b"queries=" + broken, headers=headers)
    assert (answer.status_code, answer.json()["error"].split(":")[0]) == (400, "the form is not percent-encoded")


@pytest.mark.parametrize("field", [b"queries=", b"extend=", b"x="])
def test_more_escapes_than_text_can_need_are_refused(start: Start, field: bytes) -> None:
    client, headers = start(json_bytes=1_000), {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post("/reconcile", content=field + b"%41" * 2_001, headers=headers)
    assert (answer.status_code, answer.json()["error"].split(";")[0]) == (413, "the form has too many escapes")


def test_escapes_take_little_memory() -> None:
    """`urllib` takes forty bytes for each."""
    content = b"%41" * 1_000_000
    tracemalloc.start()
    assert len(url_decoded(content)) == 1_000_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * len(content)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/link", {"text": "Guinea " * 2_800, "mentions": [SPAN] * 128, "k": 100}),
        ("/link", {"text": "Guinea " * 2_800, "mentions": [SPAN] * 60, "k": 60}),
        ("/link/batch", {"requests": [{"text": "Guinea " * 2_800, "mentions": [SPAN] * 4, "k": 100}] * 10}),
    ],
)
def test_work_has_a_price(client: TestClient, linker: ToyLinker, path: str, body: Any) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("mentions × candidates × characters of their texts is ")
    assert answer.json()["error"].endswith(", more than 50,000,000; send fewer or shorter texts, or lower k")
    assert linker.seen == []


def test_work_within_the_price_is_done(start: Start) -> None:
    client = start(work=1_000)
    assert client.post("/link", json=ASKED | {"k": 100}).status_code == 200  # 100 × 10 characters
    assert client.post("/link", json=ASKED | {"k": 100, "text": "Guinea won!"}).status_code == 413


@pytest.mark.parametrize(
    "requests",
    [
        [{"text": "x y " * 5_000}] * 8,
        [{"text": "x" * 20_000}] * 64,
        [{"text": "x y " * 5_000}] * 7 + [{"text": "x y " * 3_000}, ASKED],
    ],
)
def test_mentions_are_looked_for_in_so_much_text(client: TestClient, requests: list[Any]) -> None:
    answer = client.post("/link/batch", json={"requests": requests})
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("mentions are looked for in 150,000 characters at most")


def test_a_mention_is_a_name_and_no_novel(client: TestClient) -> None:
    long = "Guinea " * 200
    answer = client.post("/link", json={"text": long, "mentions": [{"start": 0, "end": 1_300}]})
    assert (answer.status_code, answer.json()["error"].split(":")[0]) == (413, "field 'mentions.0'")
    queries = {"long": {"query": long}, "good": {"query": "Guinea"}}
    found = client.post("/reconcile", data={"queries": json.dumps(queries)}).json()
    assert found["long"]["error"].startswith("the name has more than 1,000 characters")
    assert found["good"]["result"][0]["id"] == "GN"


def test_types_do_not_split_batches(client: TestClient, linker: ToyLinker) -> None:
    kinds = [("country",), ("animal",), (), ("country", "island")]
    requests = [ASKED | {"k": 8} | ({"types": kind} if kind else {}) for kind in kinds]
    results = client.post("/link/batch", json={"requests": requests}).json()["results"]
    assert linker.batches == [4]
    ids = [{candidate["id"] for candidate in result["links"][0]["candidates"]} for result in results]
    assert ids[:2] == [{"GN", "GW", "PG"}, {"pig"}]
    assert len(ids[2]) == 8
    assert ids[3] == {"GN", "GW", "PG"}


def test_a_picture_of_128_mentions_is_decoded_once_and_encoded_once(
    small_run: Path, small_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, read = list[int](), pixels.read_picture
    monkeypatch.setattr(pixels, "read_picture", lambda *a, **b: decoded.append(1) or read(*a, **b))
    source = DataSetSource(small_run, small_data)
    served = source.open()
    tower = served.linker.model.encoder.image  # type: ignore[attr-defined]
    encoded, forward = list[int](), tower.forward
    monkeypatch.setattr(
        tower, "forward", lambda inputs: encoded.append(int(inputs["image_mask"].sum())) or forward(inputs)
    )
    decoded.clear()
    image = base64.b64encode(picture("blue", (64, 48))).decode()
    with TestClient(create_application(source, served)) as client:
        body = {"text": "A red kite was seen", "mentions": [{"start": 2, "end": 10}] * 128, "image": image, "k": 1}
        assert client.post("/link", json=body).status_code == 200
        assert (len(decoded), encoded) == (1, [1])
        assert client.post("/explain", json=body | {"mentions": [{"start": 2, "end": 10}]}).status_code == 200
    assert (len(decoded), encoded) == (1, [1])


def test_lines_of_one_kind_are_logged_once_in_a_while() -> None:
    import logging

    limit, lines = RateLimit(seconds=1000), list[str]()
    logger = logging.Logger("asyncio")
    logger.addFilter(limit)
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    for number in range(1000):
        logger.error(f"socket.accept() out of system resource\nsocket: <socket {number}>")
        logger.warning("Invalid HTTP request received.")
    assert len(lines) == 2
    limit._passed.clear()
    logger.error("socket.accept() out of system resource\nsocket: <socket 7>")
    assert lines[2].endswith("(999 more like this since)")


def test_exceptions_of_one_place_are_logged_once_in_a_while_and_those_of_another_too() -> None:
    import logging

    limit, passed = RateLimit(seconds=1000), list[str]()

    def fails(number: int) -> None:
        if number % 2:
            raise ValueError(number)
        raise KeyError(number)

    for number in range(100):
        try:
            fails(number)
        except (ValueError, KeyError) as error:
            caught = (type(error), error, error.__traceback__)
            record = logging.LogRecord("melder", logging.ERROR, "", 0, "a request failed", None, caught)
            passed += [type(error).__name__] if limit.filter(record) else []
    assert passed == ["KeyError", "ValueError"]


def test_a_name_that_is_compared_as_a_longer_one_counts_as_that(client: TestClient) -> None:
    text = "\ufdfa" * 100  # each of them is eighteen letters when names are compared
    answer = client.post("/link", json={"text": text, "mentions": [{"start": 0, "end": 100}]})
    assert (answer.status_code, "1,000 characters" in answer.json()["error"]) == (413, True)
    assert client.post("/link", json={"text": text, "mentions": [{"start": 0, "end": 50}]}).status_code == 200
    queries = {"long": {"query": text}, "good": {"query": "Guinea"}}
    answers = client.post("/reconcile", data={"queries": json.dumps(queries)}).json()
    assert "1,000 characters" in answers["long"]["error"]
    assert answers["good"]["result"]


@pytest.mark.parametrize("field", ["language", "types"])
def test_a_refusal_does_not_repeat_a_long_text(client: TestClient, field: str) -> None:
    long = "y" * 100_000
    answer = client.post("/link", json=ASKED | {field: long if field == "language" else [long]})
    assert (answer.status_code, len(answer.content) < 300) == (422, True)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_a_number_that_is_none_is_no_name(client: TestClient, number: str) -> None:
    answer = client.post("/reconcile", data={"queries": f'{{"q": {{"query": {number}}}, "r": {{"query": 7}}}}'}).json()
    assert answer["q"]["error"].startswith("field 'query': must be a text in quotes")
    assert answer["r"]["result"]
