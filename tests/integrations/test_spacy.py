"""The spaCy component, in a pipeline whose entities a ruler finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("spacy", reason="the extra `spacy` is not installed")
pytest.importorskip("fastapi", reason="the toys need the extra `serve`")

import spacy
from spacy.tokens import Doc

from melder.integrations import spacy as component
from melder.records import Item, Link, MelderError, Mention
from melder.search.filters import Types
from serving.toy import ENTITIES, ToyLinker, picture


class NilLinker(ToyLinker):
    """As if calibrated: what is written in capitals is no entity."""

    def answers(
        self, mentions: Sequence[Mention], items: Sequence[Item], k: int, types: Types | None = None
    ) -> Iterator[list[Link]]:
        for block in super().answers(mentions, items, k, types):
            yield [link.model_copy(update={"nil_probability": 0.9 * link.surface.isupper()}) for link in block]


@pytest.fixture
def linker(monkeypatch: pytest.MonkeyPatch) -> ToyLinker:
    made = NilLinker(ENTITIES)
    monkeypatch.setattr(component, "load", lambda kb, data: made)
    return made


def pipeline(**config: Any) -> Any:
    nlp = spacy.blank("en")
    names = [
        {"label": "GPE", "pattern": name} for name in ("Guinea", "GUINEA", "Papua New Guinea", "Guinea pig", "Mercury")
    ]
    nlp.add_pipe("entity_ruler").add_patterns(names)
    nlp.add_pipe("melder", config={"kb": "toys"} | config)
    return nlp


def test_an_entity_may_lie_in_two_sentences(linker: ToyLinker) -> None:
    nlp = pipeline()
    words = ["It", "rained", ".", "Papua", "New", "Guinea", "won", "."]
    doc = Doc(nlp.vocab, words, sent_starts=[True, False, False, True, False, True, False, False])
    assert [ent.kb_id_ for ent in nlp(doc).ents] == ["PG"]


def test_entities_get_ids_and_candidates(linker: ToyLinker) -> None:
    doc = pipeline(k=2)("🏏 Papua New Guinea lost to Mercury.")
    assert [(ent.text, ent.kb_id_) for ent in doc.ents] == [("Papua New Guinea", "PG"), ("Mercury", "m1")]
    assert [[each.id for each in ent._.melder_candidates] for ent in doc.ents] == [["PG", "GN"], ["m1", "m2"]]
    assert doc[0].ent_kb_id_ == ""


def test_the_picture_of_a_document_goes_with_its_entities(linker: ToyLinker) -> None:
    nlp = pipeline()
    doc = nlp.make_doc("Guinea won")
    doc._.melder_image = picture()
    docs = list(nlp.pipe([doc, nlp.make_doc("A Guinea pig"), nlp.make_doc("Nothing")]))
    assert [[ent.kb_id_ for ent in each.ents] for each in docs] == [["GN"], ["pig"], []]
    assert linker.pictures == [picture(), None]
    assert linker.batches == [2]


def test_an_entity_is_read_in_its_sentence(linker: ToyLinker, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Mention]()
    take = linker.item
    monkeypatch.setattr(linker, "item", lambda mention, image: [seen.append(mention), take(mention, image)][1])
    nlp = pipeline()
    nlp.add_pipe("sentencizer", first=True)
    nlp("It rained. Guinea won. It ended.")
    assert [(each.text, each.start, each.end) for each in seen] == [("Guinea won.", 0, 6)]


def test_none_of_these_is_nil_where_a_threshold_is_given(linker: ToyLinker) -> None:
    assert [ent.kb_id_ for ent in pipeline(nil_threshold=0.5)("GUINEA or Guinea").ents] == ["NIL", "GN"]
    assert [ent.kb_id_ for ent in pipeline()("GUINEA or Guinea").ents] == ["GN", "GN"]


def test_a_knowledge_base_must_be_named(linker: ToyLinker) -> None:
    with pytest.raises(MelderError, match="name a knowledge base"):
        pipeline(kb=None)
