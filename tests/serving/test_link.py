"""POST /link and /link/batch: what they take, what they give, what they say of mistakes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import melder
from melder.records import Link
from melder.serving import DataSetSource, create_application
from melder.serving.requests import BatchAnswer, BatchRequest, LinkAnswer, LinkRequest
from serving.conftest import Start
from serving.toy import ToyLinker, picture

TEXT = "🏏 Guinea won"
ASKED = {"text": TEXT, "mentions": [{"start": 2, "end": 8}], "k": 2}


def test_a_mention_is_linked_with_code_point_offsets(client: TestClient) -> None:
    answer = client.post("/link", json=ASKED)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["generation"], body["model"]) == ("000001", "toy-1")
    (link,) = [Link.model_validate(each) for each in body["links"]]
    assert (link.id, link.start, link.end, link.surface) == ("0", 2, 8, "Guinea")
    assert [each.id for each in link.candidates] == ["GN", "GW"]


def test_links_are_those_that_the_linker_gives(small_run: Path, small_data: Path) -> None:
    source = DataSetSource(small_run, small_data)
    image = (small_data / "images/0.png").read_bytes()
    text, span = "A red kite was seen", {"start": 2, "end": 10}
    with TestClient(create_application(source, source.open())) as client:
        body = {"text": text, "mentions": [span], "image": base64.b64encode(image).decode(), "k": 3}
        served = Link.model_validate(client.post("/link", json=body).json()["links"][0])
    expected = melder.load(small_run, small_data).link(text, 3, mention="red kite", image=image)
    assert isinstance(expected, Link)
    assert [each.id for each in served.candidates] == [each.id for each in expected.candidates]
    assert [each.score for each in served.candidates] == pytest.approx(
        [each.score for each in expected.candidates], rel=1e-4
    )


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_a_picture_comes_as_base64_or_as_a_data_uri(client: TestClient, linker: ToyLinker, prefix: str) -> None:
    image = prefix + base64.encodebytes(picture()).decode()
    assert client.post("/link", json=ASKED | {"image": image}).status_code == 200
    assert linker.pictures == [picture()]


def test_pictures_come_as_a_list_of_as_many_as_the_model_compares(client: TestClient, linker: ToyLinker) -> None:
    image = base64.b64encode(picture()).decode()
    assert client.post("/link", json=ASKED | {"image": [image, image]}).status_code == 200
    assert linker.pictures == [picture(), picture()]
    refused = client.post("/link", json=ASKED | {"image": [image] * 3})
    assert refused.status_code == 422
    assert refused.json()["error"] == "there are 3 pictures, and the model compares 2; send at most 2"
    assert client.post("/link", json=ASKED | {"image": [image, "no base64"]}).status_code == 422
    assert client.post("/link", json=ASKED | {"image": []}).status_code == 200
    assert client.post("/link", json=ASKED | {"image": [image] * 101}).status_code == 422


def test_a_form_does_what_json_does(client: TestClient, linker: ToyLinker) -> None:
    fields = {"text": TEXT, "mentions": json.dumps(ASKED["mentions"]), "k": "2"}
    form = client.post("/link", data=fields, files={"image": ("flag.png", picture(), "image/png")})
    assert form.json() == client.post("/link", json=ASKED).json()
    assert linker.pictures == [picture(), None]


def test_a_form_has_a_part_for_each_picture(client: TestClient, linker: ToyLinker) -> None:
    fields = {"text": TEXT, "mentions": json.dumps(ASKED["mentions"])}
    first, second = picture(), picture(colour="blue")
    two = [("image", ("a.png", first, "image/png")), ("image", ("b.png", second, "image/png"))]
    assert client.post("/link", data=fields, files=two).status_code == 200
    assert linker.pictures[-2:] == [first, second]
    encoded = ("image", (None, base64.b64encode(second).decode()))  # a text among files
    assert client.post("/link", data=fields, files=[two[0], encoded]).status_code == 200
    left_alone = [*two[:1], ("image", ("", b"", "application/octet-stream"))]
    assert client.post("/link", data=fields, files=left_alone).status_code == 200
    assert linker.pictures[-1] == first
    assert client.post("/link", data=fields, files=[two[0]] * 3).status_code == 422
    twice = client.post("/link", files=[("text", (None, TEXT)), ("text", (None, TEXT))])
    assert (twice.status_code, "each of them once, but for image" in twice.json()["error"]) == (400, True)


def test_several_mentions_of_one_text_come_back_in_order(client: TestClient) -> None:
    mentions = [{"start": 9, "end": 12}, {"start": 2, "end": 8}]
    links = client.post("/link", json={"text": TEXT, "mentions": mentions}).json()["links"]
    assert [(each["id"], each["surface"]) for each in links] == [("0", "won"), ("1", "Guinea")]


def test_a_batch_answers_each_text_and_says_what_is_wrong_with_one(client: TestClient) -> None:
    wrong = ASKED | {"mentions": [{"start": 40, "end": 41}]}
    bad = ASKED | {"image": base64.b64encode(b"no picture").decode()}
    body = client.post("/link/batch", json={"requests": [ASKED, wrong, bad, ASKED | {"k": 1}]}).json()
    first, second, third, fourth = body["results"]
    assert (len(first["links"][0]["candidates"]), len(fourth["links"][0]["candidates"])) == (2, 1)
    assert (second["links"], third["links"]) == ([], [])
    assert second["error"].startswith("field 'mentions.0': [40, 41) covers no words of the text of 12 characters")
    assert third["error"].startswith("the picture given: not a picture in one of the formats JPEG")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"text": 5}, "field 'text': must be a text in quotes, not 5"),
        ({"text": ["Guinea"]}, "field 'text': must be a text in quotes, not ['Guinea']"),
        ({"mentions": []}, "field 'text': is missing; add it"),
        ({"text": "x", "k": "two"}, "field 'k': must be a whole number, not 'two'"),
        ("Guinea", "the request is not a JSON object but 'Guinea'"),
        ({"text": "x", "mentions": [{"start": 0, "end": 1}], "types": ["contry"]}, "did you mean 'country'?"),
    ],
)
def test_a_request_of_the_wrong_kind_is_one_error_of_a_batch(client: TestClient, wrong: object, sentence: str) -> None:
    answer = client.post("/link/batch", json={"requests": [ASKED, wrong, ASKED]})
    assert answer.status_code == 200
    first, second, third = answer.json()["results"]
    assert (first["error"], third["error"], second["links"]) == (None, None, [])
    assert first["links"] == third["links"] != []
    assert sentence in second["error"]


@pytest.mark.parametrize(("kind", "near"), [("Country", "'country'"), ("iland", "'island'"), ("zebra", "write it as")])
def test_a_type_that_no_entity_has_is_answered_with_the_nearest(client: TestClient, kind: str, near: str) -> None:
    answer = client.post("/link", json=ASKED | {"types": [kind]})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"field 'types': no entity has the type {kind!r}; ")
    assert near in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"text": None}, "field 'text': must be a text in quotes, not None"),
        ({"mentions": {}}, "field 'mentions': must be a list, not {}"),
        ({"mentions": [{"start": 0}]}, "field 'mentions.0.end': is missing; add it"),
        ({"mentions": [{"start": -1, "end": 3}]}, "field 'mentions.0.start': must be a number from 0 up, not -1"),
        ({"mentions": [{"start": 3, "end": 3}]}, "field 'mentions.0': [3, 3) covers no words of the text"),
        ({"mentions": [{"start": 8, "end": 9}]}, "field 'mentions.0': [8, 9) covers no words of the text"),
        (
            {"mention": "Guinea"},
            "field 'mention': is not a field of this format; remove it, or use one of text, mentions",
        ),
        ({"k": 0}, "field 'k': "),
        ({"k": 101}, "field 'k': is above 100; ask for fewer candidates"),
        ({"image": "*"}, "the picture is not base64"),
        ({"image": "data:image/png,abc"}, "the picture is a data URI that is not in base64"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_field(
    client: TestClient, change: dict[str, Any], sentence: str
) -> None:
    answer = client.post("/link", json=ASKED | change)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(sentence)
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"text": "\\ud800"}', b"[" * 10_000])
def test_what_is_no_json_object_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/link", content=body)
    assert answer.status_code == 422
    assert "error" in answer.json()


@pytest.mark.parametrize(
    ("name", "value"), [("mentions", "["), ("types", "country"), ("k", "many"), ("mentions", "[" * 10_000)]
)
def test_a_form_whose_json_is_none_is_refused(client: TestClient, name: str, value: str) -> None:
    fields = {"text": TEXT, "mentions": json.dumps(ASKED["mentions"]), name: value}
    answer = client.post("/link", data=fields, files={"image": picture()})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"field '{name}': is not JSON")


def test_a_mention_that_the_linker_refuses_does_not_spoil_its_neighbours(start: Start) -> None:
    """As `precomputed:` refuses pictures that it does not hold; the reason may name files, so only the log has it."""
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    toy, answer = service.current.served.linker, service.current.served.linker.answers

    def answers(mentions: Any, items: Any, k: int, types: Any) -> Any:
        if any(each.surface == "won" for each in mentions):
            raise melder.MelderError("/secret/features.hdf5: holds no such picture")
        return answer(mentions, items, k, types)

    toy.answers = answers
    both = {"text": TEXT, "mentions": [{"start": 2, "end": 8}, {"start": 9, "end": 12}]}
    refused = client.post("/link", json=both)
    assert refused.status_code == 422
    assert "secret" not in refused.text
    assert toy.seen == ["Guinea"]


def test_the_description_has_every_schema_and_examples_that_hold(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    references = [each.split('"')[0] for each in json.dumps(description).split('"$ref": "#/components/schemas/')[1:]]
    assert set(references) <= set(schemas)
    for model in (LinkRequest, BatchRequest, LinkAnswer, BatchAnswer):
        for example in schemas[model.__name__]["examples"]:
            model.model_validate(example)
    assert {"application/json", "multipart/form-data"} == set(
        description["paths"]["/link"]["post"]["requestBody"]["content"]
    )
