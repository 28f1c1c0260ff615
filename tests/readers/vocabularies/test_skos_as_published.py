"""Thesauri as they are published: concepts that nobody is to use, notes of their own, half of the relations."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rdflib", reason="the extra `vocabularies` is not installed")

from melder.data.tables.options import Notes
from melder.data.vocabularies.skos import skos_entities
from melder.languages import Languages
from melder.records import Entity

PREFIXES = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix : <http://x/> .
:jug a skos:Concept ; skos:prefLabel "jug"@en .
"""
JUG = Entity(id="http://x/jug", name="jug")


def read(directory: Path, turtle: str) -> tuple[list[Entity], list[str]]:
    (directory / "t.ttl").write_text(f"\ufeff{PREFIXES}{turtle}", encoding="utf-8")
    notes = Notes()
    imported = skos_entities(directory / "t.ttl", Languages.parse("en"), notes)
    return [entity for entity, _ in imported], list(notes)


@pytest.mark.parametrize(
    ("turtle", "note"),
    [
        (':old a skos:Concept ; skos:prefLabel "ewer"@en ; owl:deprecated true .', "1 deprecated concept is left out"),
        (':old skos:prefLabel "ewer"@en ; owl:deprecated "true" .', "1 deprecated concept is left out"),
        ('[] a skos:Concept ; skos:prefLabel "ewer"@en .', "1 concept without an address"),
        (':c a skos:Collection ; skos:prefLabel "Vessels"@en .', None),
        (':c a skos:OrderedCollection ; skos:prefLabel "Vessels"@en .', None),
    ],
)
def test_what_is_no_concept_to_use_is_left_out(tmp_path: Path, turtle: str, note: str | None) -> None:
    entities, notes = read(tmp_path, turtle)
    assert entities == [JUG]
    assert len(notes) == (note is not None)
    assert note is None or notes[0].startswith(note)


@pytest.mark.parametrize(
    ("turtle", "expected"),
    [
        (
            ':jug skos:definition [ rdf:value "with a handle"@en ] .',
            JUG.model_copy(update={"description": "with a handle"}),
        ),
        (":jug skos:definition [ rdfs:seeAlso :other ] .", JUG),
        (
            ':pot a skos:Concept ; rdfs:label "pot"@en ; skos:narrower :jug .',
            JUG.model_copy(update={"types": ("pot",)}),
        ),
        (":jug skos:broader :jug .", JUG),
    ],
)
def test_notes_and_relations_are_read_however_they_are_written(tmp_path: Path, turtle: str, expected: Entity) -> None:
    assert read(tmp_path, turtle)[0][0] == expected


def test_a_label_of_rdfs_names_a_concept_and_narrower_gives_a_type(tmp_path: Path) -> None:
    turtle = ':pot a skos:Concept ; rdfs:label "pot"@en . :all skos:prefLabel "vessel"@en ; skos:narrower :pot , :jug .'
    entities = {entity.name: entity.types for entity in read(tmp_path, turtle)[0]}
    assert entities == {"vessel": (), "jug": ("vessel",), "pot": ("vessel",)}
