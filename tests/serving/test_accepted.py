"""POST /link in the format that a client asks for by Accept."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from melder.serving.accepted import JSON, MEDIA_TYPES, accepted_format
from melder.serving.errors import ApiError

ASKED = {"text": "Guinea won", "mentions": [{"start": 0, "end": 6}], "k": 2, "language": "en"}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/turtle", "text/turtle"),
        ("Text/Turtle; charset=utf-8", "text/turtle"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("application/tei+xml, application/json;q=0", "application/tei+xml"),
        ("application/ld+json;q=0.9, */*;q=0.1", "application/ld+json"),
        ("text/csv;q=zero", "text/csv"),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(accept: str | None, wanted: str) -> None:
    form = accepted_format(accept)
    assert (JSON if form is None else form.media_type) == wanted


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "text/html, image/*"])
def test_a_client_that_takes_none_is_told_which_there_are(client: TestClient, accept: str) -> None:
    with pytest.raises(ApiError):
        accepted_format(accept)
    answer = client.post("/link", json=ASKED, headers={"Accept": accept})
    assert answer.status_code == 406
    assert "text/turtle" in answer.json()["error"]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_links_come_in_every_format(client: TestClient, media_type: str) -> None:
    answer = client.post("/link", json=ASKED, headers={"Accept": media_type})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert "GN" in answer.text


def test_they_say_what_json_says(client: TestClient) -> None:
    (link,) = client.post("/link", json=ASKED).json()["links"]
    by_type = {name: client.post("/link", json=ASKED, headers={"Accept": name}).text for name in MEDIA_TYPES}
    assert json.loads(by_type["application/x-ndjson"]) == link
    (row,) = csv.DictReader(io.StringIO(by_type["text/csv"]))
    assert [row["id_1"], row["id_2"]] == [candidate["id"] for candidate in link["candidates"]]
    tei = ElementTree.fromstring(by_type["application/tei+xml"])
    (rs,) = tei.iter("{http://www.tei-c.org/ns/1.0}rs")
    assert (rs.text, rs.get("ref")) == ("Guinea", "http://www.wikidata.org/entity/GN")
    (item,) = json.loads(by_type["application/ld+json"])["first"]["items"]
    assert item["body"]["source"] == "http://www.wikidata.org/entity/GN"
    assert item["target"]["source"]["language"] == "en"


@pytest.mark.parametrize("language", ["german language", "d", 7])
def test_a_language_that_is_none_is_refused(client: TestClient, language: object) -> None:
    answer = client.post("/link", json=ASKED | {"language": language})
    assert answer.status_code == 422
    assert "field 'language'" in answer.json()["error"]
