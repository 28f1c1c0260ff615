"""Candidates by name, against cosines of whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from melder.records import Entity
from melder.search.candidates import lexical_candidates


def entity(identifier: str, *names: str) -> Entity:
    return Entity(id=identifier, name=names[0], aliases=names[1:])


ENTITIES = [
    entity("a", "Michael Jordan", "Air Jordan"),
    entity("b", "Jordan"),
    entity("c", "Michael Jackson", "King of Pop"),
    entity("d", "Peter Jackson"),
    entity("e", "Zimbabwe"),
]


def cosines(surface: str) -> np.ndarray:
    """[entities] of the best name, the plain way."""
    names = [name for each in ENTITIES for name in each.names]
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(names)
    query = vectorizer.transform([surface])
    return np.array([(vectorizer.transform(each.names) @ query.T).toarray().max() for each in ENTITIES])


@pytest.mark.parametrize("surface", ["Jordan", "jackson", "The King of Pop", "Michael", "air", "xyz", ""])
def test_candidates_have_the_best_cosines_in_order(surface: str) -> None:
    expected = cosines(surface)
    (found,) = lexical_candidates([surface], ENTITIES, 3)
    assert np.allclose(expected[found], np.sort(expected)[::-1][:3])


def test_each_surface_has_its_row() -> None:
    found = lexical_candidates(["Zimbabwe", "Jordan", "Zimbabwe"], ENTITIES, 2)
    assert found.shape == (3, 2)
    assert found[0].tolist() == found[2].tolist() != found[1].tolist()
    assert found[0, 0] == 4


def test_no_more_than_there_are_entities() -> None:
    (found,) = lexical_candidates(["Jordan"], ENTITIES, 50)
    assert sorted(found) == list(range(5))


def test_those_without_a_common_n_gram_fill_up_in_the_order_of_the_knowledge_base() -> None:
    """And of equal names the first come first."""
    names = ["Zimbabwe"] * 300
    for place in range(50, 300, 50):
        names[place] = "Jordan"
    entities = [entity(str(number), name) for number, name in enumerate(names)]
    (found,) = lexical_candidates(["Jordan"], entities, 20)
    assert found.tolist() == [50, 100, 150, 200, 250, *range(15)]
    assert lexical_candidates(["Jordan"], entities, 3).tolist() == [[50, 100, 150]]


def test_a_knowledge_base_without_n_grams_gives_its_first_entities() -> None:
    assert lexical_candidates(["Jordan"], [entity("x", "-"), entity("y", "?")], 2).tolist() == [[0, 1]]


@pytest.mark.parametrize("surface", ["CAFE\u0301 ‘Muller’", "Café\u200b 'Muller'", "ｃａｆé 'Muller'"])
def test_names_are_compared_as_people_do_where_the_model_folds_them(surface: str) -> None:
    entities = [entity("a", "Cafe 'Mull'"), entity("b", "Café 'Muller'"), entity("c", "Cafés")]
    assert lexical_candidates([surface], entities, 1, fold=True).tolist() == [[1]]
    plain = lexical_candidates(["Café 'Muller'"], entities, 3)
    assert plain.tolist() == lexical_candidates(["Café 'Muller'"], entities, 3, fold=True).tolist()
