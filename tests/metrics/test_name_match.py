from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from melder.metrics import name_match as module
from melder.metrics.name_match import name_match
from melder.records import Entity, MelderError, Mention

NAMES = ["Guinea", "Guinea-Bissau", "Equatorial Guinea", "Mali", "Chad", "Congo", "Congo", "", "Kongo (river)", "北京"]
SURFACES = [
    ("Guinea", 0),
    ("guinea bissau", 1),
    ("Gui", 2),
    ("Congo", 5),
    ("Congo", 6),
    ("zzz", 3),
    ("", 4),
    ("Chad", 7),
]
ENTITIES = [Entity(id=f"Q{number}", name=name) for number, name in enumerate(NAMES)]
MENTIONS = [
    Mention(id=str(number), surface=surface, answer=f"Q{gold}") for number, (surface, gold) in enumerate(SURFACES)
]


def dense_ranks() -> list[tuple[int, int]]:
    """The definition, on the whole matrix."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    names = vectorizer.fit_transform(NAMES).toarray()
    cosines = vectorizer.transform([surface for surface, _ in SURFACES]).toarray() @ names.T
    gold = cosines[np.arange(len(SURFACES)), [gold for _, gold in SURFACES]][:, None]
    better = (cosines > gold + 1e-9).sum(axis=1)
    return list(zip(better + 1, (cosines > gold - 1e-9).sum(axis=1), strict=True))


@pytest.mark.parametrize("at_once", [1, 3, 128])
def test_ranks_equal_a_dense_computation(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MENTIONS_AT_ONCE", at_once)
    ranks = name_match(MENTIONS, ENTITIES)
    assert list(zip(ranks.optimistic, ranks.pessimistic, strict=True)) == dense_ranks()


def test_entities_of_one_name_tie() -> None:
    ranks = name_match(MENTIONS[3:5], ENTITIES)
    assert ranks.realistic.tolist() == [1.5, 1.5]


def test_a_surface_that_shares_nothing_ties_with_every_entity() -> None:
    ranks = name_match([MENTIONS[5]], ENTITIES)
    assert (ranks.optimistic.tolist(), ranks.pessimistic.tolist()) == ([1], [len(ENTITIES)])


def test_aliases_do_not_count() -> None:
    entities = [*ENTITIES[:5], Entity(id="alias", name="Conakry", aliases=("Guinea",))]
    ranks = name_match([Mention(id="1", surface="Guinea", answer="alias")], entities)
    assert ranks.optimistic.tolist() > [1]


def test_an_answer_that_is_no_candidate_is_named() -> None:
    with pytest.raises(MelderError, match=r"^mention 'm', field 'answer': 'Q99' is not among the candidates"):
        name_match([Mention(id="m", surface="x", answer="Q99")], ENTITIES)


def test_a_knowledge_base_without_names_is_an_error() -> None:
    with pytest.raises(MelderError, match="no entity of the knowledge base has a name"):
        name_match([Mention(id="m", surface="x", answer="a")], [Entity(id="a", description="text")])
