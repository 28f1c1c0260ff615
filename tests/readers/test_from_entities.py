"""Mentions made from entities: what they are, and what they must not give away."""

from __future__ import annotations

import pytest

from melder.data.from_entities import make_mentions, pieces
from melder.records import Entity, MelderError

LEE = Entity(
    id="Q1",
    name="Ann Lee",
    aliases=("Mother Ann",),
    description="Ann Lee founded the Shakers. She was born in Manchester. Mother Ann came to Albany. She died there.",
    images=("1.jpg", "2.jpg", "3.jpg"),
)
APPLE = Entity(
    id="Q2", name="Granny Smith", description="A green apple, firm and of a clear acidity.", images=("a.jpg",)
)
BARE = Entity(id="Q3", name="Guinea")


def test_every_mention_marks_its_surface_and_has_its_entity_for_an_answer() -> None:
    made = make_mentions([LEE, APPLE, BARE], 8, 0)
    assert {mention.answer for mention in made.mentions} == {"Q1", "Q2", "Q3"}
    for mention in made.mentions:
        assert mention.start is not None
        assert mention.text[mention.start : mention.end] == mention.surface
    assert len({mention.id for mention in made.mentions}) == len(made.mentions)


@pytest.mark.parametrize("seed", range(20))
def test_what_a_mention_shows_is_not_in_its_entity(seed: int) -> None:
    made = make_mentions([LEE, APPLE, BARE], 8, seed)
    kept = {entity.id: entity for entity in made.entities}
    for before in (LEE, APPLE):
        after = kept[before.id]
        taken = [piece for piece in pieces(before.description) if piece not in after.description]
        assert len(taken) == 1  # a third of four sentences, or one half of a single one
        assert after.description  # something stays
        own = [mention for mention in made.mentions if mention.answer == before.id]
        for mention in own:
            words = set(mention.text.rstrip(".").split()) - {*mention.surface.split(), f"{mention.surface}."}
            assert words & set(taken[0].rstrip(".").split())  # the context is what was taken
            assert mention.text not in (before.description, after.description)
        assert not {mention.image for mention in own} & set(after.images)
    lee = [mention for mention in made.mentions if mention.answer == "Q1"]
    assert {mention.image for mention in lee} | set(kept["Q1"].images) == set(LEE.images)


def test_names_and_all_else_of_the_entity_stay() -> None:
    (entity,) = make_mentions([LEE], 1, 0).entities
    assert entity.model_copy(update={"description": LEE.description, "images": LEE.images}) == LEE


def test_surfaces_are_names_and_what_others_may_share_of_them() -> None:
    surfaces = {mention.surface for mention in make_mentions([LEE], 60, 0).mentions}
    assert surfaces == {"Ann Lee", "Mother Ann", "Lee", "Ann", "Mother", "AL", "MA"}


def test_no_other_name_stands_in_the_text() -> None:
    for mention in make_mentions([LEE], 60, 3).mentions:
        rest = mention.text.replace(mention.surface, "")
        assert "Ann Lee" not in rest
        assert "Mother Ann" not in rest


def test_a_surface_stands_where_the_name_does_or_else_in_front() -> None:
    entity = Entity(id="Q", name="Avocado", description="It is green. An Avocado has a core.")
    texts = {make_mentions([entity], 1, seed).mentions[0].text for seed in range(10)}
    assert texts == {"Avocado. It is green.", "An Avocado has a core."}


def test_words_that_say_nothing_are_no_surfaces() -> None:
    entity = Entity(id="Q", name="The Hague")
    assert {mention.surface for mention in make_mentions([entity], 60, 0).mentions} == {"The Hague", "Hague"}
    numbered = Entity(id="Q", name="Apollo 11")
    assert "11" not in {mention.surface for mention in make_mentions([numbered], 60, 0).mentions}


def test_a_single_picture_is_shown_as_views_each_its_own_or_as_it_is() -> None:
    made = make_mentions([APPLE], 8, 0)
    assert {mention.image for mention in made.mentions} == made.views.keys()
    assert {source for source, _ in made.views.values()} == {"a.jpg"}
    assert len({seed for _, seed in made.views.values()}) == len(made.views) == 8
    assert made.entities[0].images == ("a.jpg",)
    as_it_is = make_mentions([APPLE], 8, 0, views=False)
    assert not as_it_is.views
    assert {mention.image for mention in as_it_is.mentions} == {"a.jpg"}


def test_no_mention_is_made_twice() -> None:
    assert len(make_mentions([BARE], 8, 0).mentions) == 1


def test_a_seed_decides_and_other_entities_do_not_matter() -> None:
    one = make_mentions([LEE, APPLE], 4, 7)
    assert make_mentions([LEE, APPLE], 4, 7) == one
    alone = [mention for mention in one.mentions if mention.answer == "Q2"]
    assert make_mentions([APPLE], 4, 7).mentions == alone
    assert make_mentions([LEE, APPLE], 4, 8) != one


def test_an_entity_without_a_name_makes_no_mention() -> None:
    nameless = Entity(id="Q9", description="Something green.")
    assert {mention.answer for mention in make_mentions([nameless, BARE], 2, 0).mentions} == {"Q3"}
    with pytest.raises(MelderError, match="no entity has a name"):
        make_mentions([nameless], 2, 0)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("", []),
        ("One. Two. One.", ["One.", "Two."]),
        ("J. R. Smith sang. He won.", ["J. R. Smith sang.", "He won."]),
        ("Too short to be halved.", ["Too short to be halved."]),
        (
            "A green apple with white pulp, and a clear acidity.",
            ["A green apple with white pulp,", "and a clear acidity."],
        ),
        ("one two three four five six seven eight", ["one two three four", "five six seven eight"]),
        ("東京は首都。大阪は都市。", ["東京は首都。", "大阪は都市。"]),
    ],
)
def test_a_description_comes_apart_into_sentences_or_halves(description: str, expected: list[str]) -> None:
    assert pieces(description) == expected
