from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from melder.errors import SHOWN
from melder.records import BadData, BadRecord, Candidate, Entity, Link, MelderError, Mention, Ranks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXTS, TEXTS.filter(bool), TEXTS)
def test_a_span_counts_code_points(before: str, surface: str, after: str) -> None:
    start, end = len(before), len(before) + len(surface)
    mention = Mention(id="m", text=before + surface + after, start=start, end=end, surface=surface)
    assert Mention.model_validate_json(mention.model_dump_json()) == mention


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 3), (4, 2), (0, 15), (15, 16)])
def test_a_span_outside_the_text_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValidationError, match=rf"span \[{start}, {end}\) lies outside the text of 14 characters"):
        Mention(id="m", text="Guinea won now", start=start, end=end, surface="Guinea")


def test_a_span_that_is_not_the_surface_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"span \[0, 6\) covers 'Guinea', not the surface 'Mali'"):
        Mention(id="m", text="Guinea won", start=0, end=6, surface="Mali")


@pytest.mark.parametrize("span", [{"start": 0}, {"end": 6}])
def test_half_a_span_is_refused(span: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="start and end must both be numbers or both be null"):
        Mention(id="m", text="Guinea won", surface="Guinea", **span)


def test_a_mention_has_one_picture_or_a_list_of_them() -> None:
    several = Mention.model_validate_json('{"id": "m", "image": ["a.png", "b.png", "a.png"]}')
    assert several.images == several.image == ("a.png", "b.png")
    assert Mention.model_validate_json(several.model_dump_json()) == several
    assert Mention(id="m", image=("a.png",)) == Mention(id="m", image="a.png")
    assert Mention(id="m", image="a.png").images == ("a.png",)
    assert Mention(id="m", image=()) == Mention(id="m")
    assert several.with_images([]).image is None
    assert several.with_images(["c.png"]).images == ("c.png",)


@pytest.mark.parametrize("image", [5, {"name": "a.png"}, ["a.png", None], [["a.png"]]])
def test_what_is_no_picture_is_named_in_one_sentence(image: object) -> None:
    with pytest.raises(ValidationError, match="must be the name of a picture, a list of such names, or null") as error:
        Mention.model_validate({"id": "m", "image": image})
    assert error.value.error_count() == 1


def test_a_surface_need_not_occur_in_the_text() -> None:
    assert Mention(id="m", text="They won", surface="Guinea").start is None


@pytest.mark.parametrize("record", [Entity, Mention])
@pytest.mark.parametrize("fields", [{"id": ""}, {}, {"id": "Q1", "label": "Mali"}])
def test_a_record_has_an_id_and_no_unknown_field(record: type[Entity | Mention], fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        record(**fields)


@pytest.mark.parametrize("record", [Entity(id="Q1"), Mention(id="m")])
def test_a_record_does_not_change(record: Entity | Mention) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record.id = "Q2"  # type: ignore[misc]


def test_names_are_the_name_and_the_aliases_once_each() -> None:
    entity = Entity(id="Q1", name="Côte d'Ivoire", aliases=("Ivory Coast", " ", "Côte d'Ivoire", "", "Ivory Coast"))
    assert entity.names == ("Côte d'Ivoire", "Ivory Coast")
    assert Entity(id="Q1", aliases=("Mali",)).names == ("Mali",)
    assert Entity(id="Q1", description="A state.").names == ()


def test_a_link_is_json_and_back() -> None:
    candidate = Candidate(id="Q1", name="Guinea", score=1.5, units={"text": 1.0, "lexical": 0.5})
    link = Link(id="m", start=0, end=6, surface="Guinea", candidates=(candidate,))
    assert link.nil_probability is None
    assert Link.model_validate_json(link.model_dump_json()) == link


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (BadRecord("dev.jsonl", 3, "answer", "is unknown"), "dev.jsonl, record 3, field 'answer': is unknown"),
        (BadRecord("dev.jsonl", 3, "", "is no object"), "dev.jsonl, record 3: is no object"),
        (BadRecord("run.yaml", 0, "epochs", "is negative"), "run.yaml, field 'epochs': is negative"),
        (BadRecord("dev.jsonl", 0, "", "is empty"), "dev.jsonl: is empty"),
    ],
)
def test_a_bad_record_says_where_and_why(record: BadRecord, message: str) -> None:
    assert str(record) == message


@pytest.mark.parametrize("more", [0, 1, 1234])
def test_bad_data_lists_the_first_records_and_counts_the_rest(more: int) -> None:
    records = [BadRecord("dev.jsonl", number, "id", "is missing") for number in range(1, SHOWN + more + 1)]
    error = BadData(records)
    lines = str(error).split("\n")
    assert isinstance(error, MelderError)
    assert error.records == tuple(records)
    assert lines[:SHOWN] == [str(record) for record in records[:SHOWN]]
    assert lines[SHOWN:] == ([f"and {more:,} more bad records"] if more else [])


def test_the_realistic_rank_is_that_of_ties_broken_at_random() -> None:
    ranks = Ranks(np.array([1, 2, 3]), np.array([1, 5, 4]))
    assert ranks.realistic.tolist() == [1, 3.5, 3.5]
    assert len(ranks) == 3
