"""What an encoder gets to read of mentions and entities."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from melder.data import draw_image, entity_items, load, mention_items
from melder.data.items import Separator
from melder.records import Entity, Item, Mention

ENTITY = Entity(id="a", name="Ann", aliases=("Anne",), description="A cat.", images=("0.png", "1.png"))
MENTION = Mention(id="m", text="Ann sat.", start=0, end=3, surface="Ann", image="m.png")


@pytest.fixture
def data(own):
    return load(own([{"id": "a", "name": "Ann"}]))


def test_an_item_holds_names_text_and_the_first_picture(data):
    place = data.directory
    assert mention_items([MENTION], data, " | ") == [
        Item("Ann | Ann sat.", place / "m.png", ("Ann",), role="mention", span=(6, 9), lead=6)
    ]
    assert entity_items([ENTITY], data, " | ") == [
        Item("Ann | A cat.", place / "0.png", ("Ann", "Anne"), role="entity")
    ]


def test_the_separator_stands_only_between_two_parts(data):
    bare, nameless = Entity(id="b", name="Bob"), Entity(id="c", description="A cat.")
    items = entity_items([bare, nameless, Entity(id="d")], data, " | ")
    assert [item.text for item in items] == ["Bob", "A cat.", ""]
    assert [item.image for item in items] == [None, None, None]
    assert items[1].surfaces == ()
    assert mention_items([Mention(id="m", text="Hello")], data, " | ") == [Item("Hello", role="mention")]


@pytest.mark.parametrize(
    ("name", "description", "text"),
    [("Bob", "", "Bob [SEP] "), ("", "A cat.", " [SEP] A cat."), ("", "", " [SEP] "), ("Bob", "  ", "Bob [SEP]   ")],
)
def test_a_separator_that_stands_alone_is_written_beside_nothing(data, name, description, text):
    """As MIMIC's loader writes it: name + " [SEP] " + attr."""
    separator = pickle.loads(pickle.dumps(Separator(" [SEP] ", stands_alone=True)))  # as jobs send it
    assert entity_items([Entity(id="b", name=name, description=description)], data, separator)[0].text == text
    (item,) = mention_items([Mention(id="m", text=description, surface=name)], data, separator)
    assert item.text == text
    assert Separator(" [SEP] ") == separator
    assert entity_items([Entity(id="b", name="Bob")], data, Separator(" [SEP] "))[0].text == "Bob"


def test_modalities_can_be_left_out(data):
    place = data.directory
    assert mention_items([MENTION], data, " ", frozenset({"image"})) == [Item(image=place / "m.png", role="mention")]
    assert mention_items([MENTION], data, " ", frozenset({"text"})) == [
        Item("Ann Ann sat.", None, ("Ann",), role="mention", span=(4, 7), lead=4)
    ]
    assert entity_items([ENTITY], data, " ", frozenset({"image"})) == [Item(image=place / "0.png", role="entity")]
    assert entity_items([ENTITY], data, " ", frozenset({"text"})) == [
        Item("Ann A cat.", None, ("Ann", "Anne"), role="entity")
    ]


def test_each_entity_can_show_another_picture(data):
    items = entity_items([ENTITY, Entity(id="b", name="Bob"), ENTITY], data, " ", images=[1, 5, 0])
    assert [item.image and item.image.name for item in items] == ["1.png", None, "0.png"]


def test_drawn_pictures_are_uniform_and_repeatable():
    entity = ENTITY.model_copy(update={"images": ("0", "1", "2")})
    drawn = [draw_image(len(entity.images), seed=3, epoch=1, index=index) for index in range(3000)]
    assert drawn == [draw_image(len(entity.images), seed=3, epoch=1, index=index) for index in range(3000)]
    assert all(900 < count < 1100 for count in Counter(drawn).values())
    assert set(drawn) == {0, 1, 2}
    for other in ({"seed": 4, "epoch": 1}, {"seed": 3, "epoch": 2}):
        assert drawn != [draw_image(len(entity.images), **other, index=index) for index in range(3000)]


def test_an_entity_without_a_choice_shows_what_it_has():
    assert draw_image(0, seed=0, epoch=0, index=0) == 0
    assert draw_image(1, seed=0, epoch=0, index=9) == 0
