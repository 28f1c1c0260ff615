"""POST /explain: the link that /link gives, with what matched in it."""

from __future__ import annotations

import base64
from pathlib import Path

from starlette.testclient import TestClient

import melder
from melder.data.mention_inputs import to_mention
from melder.linking import ExactLinker, explain
from melder.records import Link
from melder.serving import DataSetSource, create_application
from melder.serving.requests import ExplainAnswer

SPAN = {"start": 2, "end": 10}
ASKED = {"text": "A red kite was seen", "mentions": [SPAN], "k": 3}


def test_a_link_is_explained_with_the_picture_that_came_along(small_run: Path, small_data: Path) -> None:
    source = DataSetSource(small_run, small_data)
    image = (small_data / "images/0.png").read_bytes()
    asked = ASKED | {"image": base64.b64encode(image).decode()}
    with TestClient(create_application(source, source.open())) as client:
        answer = ExplainAnswer.model_validate(client.post("/explain", json=asked).json())
        assert answer.link == Link.model_validate(client.post("/link", json=asked).json()["links"][0])
    linker = melder.load(small_run, small_data)
    assert isinstance(linker, ExactLinker)
    mention = to_mention("A red kite was seen", "red kite", "0")
    expected = explain(linker, mention, answer.link, linker.item(mention, image))
    assert [each.read for each in answer.explanation.candidates] == [each.read for each in expected.candidates]
    assert [each.aligned.keys() for each in answer.explanation.candidates] == [
        each.aligned.keys() for each in expected.candidates
    ]
    assert answer.explanation.read == expected.read


def test_a_linker_that_cannot_explain_says_so(client: TestClient) -> None:
    answer = client.post("/explain", json=ASKED)
    assert answer.status_code == 501
    assert "cannot be explained" in answer.json()["error"]


def test_one_mention_is_explained_at_a_time(client: TestClient) -> None:
    for mentions, sentence in (([], "has 0 entries; give 1"), ([SPAN, SPAN], "has more than 1 entries; send fewer")):
        answer = client.post("/explain", json=ASKED | {"mentions": mentions})
        assert answer.status_code == 422
        assert answer.json()["error"] == f"field 'mentions': {sentence}"
