"""Entities of RDF/XML: those that stand for the start of an address, and those that multiply or stand elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rdflib", reason="the extra `vocabularies` is not installed")

from melder.data.tables.options import Notes
from melder.data.vocabularies.skos import skos_entities
from melder.languages import Languages
from melder.records import MelderError

BODY = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:skos="&skos;">
<skos:Concept rdf:about="http://x/1"><skos:prefLabel xml:lang="en">cat&more;</skos:prefLabel></skos:Concept>
</rdf:RDF>"""
NAMESPACE = '<!ENTITY skos "http://www.w3.org/2004/02/skos/core#">'


def names(tmp_path: Path, declared: str) -> list[str]:
    path = tmp_path / "a.rdf"
    path.write_text(f"<!DOCTYPE rdf:RDF [{NAMESPACE}{declared}]>{BODY}")
    return [imported.entity.name for imported in skos_entities(path, Languages.parse("en"), Notes())]


def test_short_entities_are_read(tmp_path: Path) -> None:
    assert names(tmp_path, '<!ENTITY more "s">') == ["cats"]


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ('<!ENTITY a "xxxx"><!ENTITY more "&a;&a;">', "'more' holds another one"),
        ('<!ENTITY a "xxxx"><!ENTITY more "&#38;a;&#38;a;">', "'more' holds another one"),
        (f'<!ENTITY more "{"x" * 400}">', "'more' holds another one, or more than 300 characters"),
        ('<!ENTITY more SYSTEM "file:///etc/hostname">', "'more' stands elsewhere"),
        ('<!ENTITY % outer SYSTEM "http://example.org/x.dtd"><!ENTITY more "s">', "'outer' stands elsewhere"),
    ],
    ids=["of entities", "of entities by number", "long", "a file", "a parameter"],
)
def test_entities_that_multiply_or_stand_elsewhere_are_refused(tmp_path: Path, declared: str, reason: str) -> None:
    with pytest.raises(MelderError, match=reason):
        names(tmp_path, declared)


@pytest.mark.parametrize("encoding", ["shift_jis", "big5", "nonsense"])
def test_an_encoding_that_is_not_read_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.rdf"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?><a/>')
    with pytest.raises(MelderError, match="save it as UTF-8"):
        list(skos_entities(path, Languages.parse("en"), Notes()))
