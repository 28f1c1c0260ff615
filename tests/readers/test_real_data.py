"""The published data sets load whole; skipped where they are not beside the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from melder.data import fit, load, read_picture, tune_split

DATA = Path(__file__).parents[3] / "shared" / "data"
SIZES = {
    "wikimel": (18_880, 18_092, 2_585),
    "richpediamel": (17_805, 12_460, 1_776),
    "wikidiverse": (7_643, 11_204, 1_635),
    "grocery": (81, 2_640, 296),
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not in ../shared/data")


@pytest.mark.parametrize("name", SIZES)
def test_every_record_is_read(name):
    data = load(DATA / name)
    assert (len(data.entities), len(data.split("train")), len(data.split("dev"))) == SIZES[name]
    known = {entity.id for entity in data.entities}
    assert all(mention.answer in known for mention in data.split("dev"))
    assert data.skipped == []


def test_described_entities_are_counted_as_published():
    assert sum(bool(entity.description) for entity in load(DATA / "wikidiverse").entities) == 1_865


def test_the_union_is_entities_only_one_of_them_without_a_name():
    entities = load(DATA / "union").entities
    assert len(entities) == 52_747
    assert sum(not entity.name for entity in entities) == 1


def test_grocery_has_a_picture_for_every_record():
    data = load(DATA / "grocery")
    assert all(data.entity_image(entity.images[0]).is_file() for entity in data.entities)
    mentions = data.split("train") + data.split("dev")
    assert all(mention.image and data.mention_image(mention.image).is_file() for mention in mentions)
    assert fit(read_picture(data.mention_image(mentions[0].image or "")), 224).dtype == np.uint8


def test_grocery_keeps_every_product_on_both_sides_of_a_tune_split():
    rest, tune = tune_split(load(DATA / "grocery").split("train"), seed=0)
    assert len(tune) == 264
    assert {mention.answer for mention in tune} <= {mention.answer for mention in rest}
