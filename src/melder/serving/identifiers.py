"""The forms that an entity's id takes in tables and vocabularies: an address, a CURIE, the bare id.

http and https, /wiki/ and /entity/, and this service's own addresses are one: http://www.wikidata.org/entity/Q90,
https://www.wikidata.org/wiki/Q90, wd:Q90 and Q90 name the same entity, whichever of them the knowledge base has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from melder.records import Entity
from melder.serving.catalogue import Catalogue

__all__ = ["find_identified", "forms_of"]

WEB = re.compile(r"https?://([^/?#\s]+)(/[^\s]*)?", re.IGNORECASE)
CURIE = re.compile(r"([A-Za-z][\w.-]*):([^\s/:][^\s:]*)")
FOLDERS = ("entity", "wiki", "entities", "resource", "page")  # Wikidata's, this service's, DBpedia's
WIKIDATA = "http://www.wikidata.org/entity/"
PREFIXES = {
    "wd": WIKIDATA,
    "wikidata": WIKIDATA,
    "dbr": "http://dbpedia.org/resource/",
    "gnd": "https://d-nb.info/gnd/",
}
LONGEST = 2048  # characters


def find_identified(text: str, catalogue: Catalogue, prefixes: Sequence[str] = ()) -> Entity | None:
    """The entity whose id a text is, in any of its forms; `prefixes` are what stands before ids in other places."""
    return next(filter(None, map(catalogue.entity, forms_of(text, prefixes))), None)


def forms_of(text: str, prefixes: Sequence[str] = ()) -> list[str]:
    """The ids that a text may stand for, itself first.

    A bare word stands for an address only below one of the prefixes.
    """
    identity = text.strip()
    if not identity or len(identity) > LONGEST:
        return []
    bare = [unquote(identity[len(prefix) :]) for prefix in prefixes if identity.startswith(prefix)]
    web, curie = WEB.fullmatch(identity), CURIE.fullmatch(identity)
    if web is not None:
        return _distinct([identity, *bare, *_of_web(identity, web, prefixes)])
    forms = [identity, *filter(None, bare)]
    if curie is not None:
        space = PREFIXES.get(curie[1].lower())
        forms += [] if space is None else _siblings(space + curie[2])
        forms += [curie[2]] if space is not None else []
    elif not any(character.isspace() for character in identity):
        forms += [form for prefix in (*prefixes, WIKIDATA) for form in _siblings(prefix + quote(identity, safe=""))]
        forms.append(f"wd:{identity}")
    return _distinct(forms)


def _of_web(identity: str, web: re.Match[str], prefixes: Sequence[str]) -> list[str]:
    """The same address otherwise written, and the id at its end."""
    bare = [_rest(identity, prefix) for prefix in (*prefixes, *PREFIXES.values())]
    forms = [*_siblings(identity), *filter(None, bare)]
    segments = (web[2] or "").strip("/").split("/")
    if len(segments) == 2 and segments[0] in FOLDERS:
        forms += [unquote(segments[1]), f"wd:{unquote(segments[1])}"]
    return forms


def _rest(identity: str, prefix: str) -> str | None:
    """What stands behind a prefix, whichever of http and https either has."""
    schemeless, start = identity.partition("://")[2], prefix.partition("://")[2]
    return unquote(schemeless[len(start) :]) if start and schemeless.startswith(start) else None


def _siblings(address: str) -> list[str]:
    """An address with http and https, below /entity/ and /wiki/."""
    rest = address.partition("://")[2]
    folders = [rest]
    if "/entity/" in rest:
        folders.append(rest.replace("/entity/", "/wiki/", 1))
    if "/wiki/" in rest:
        folders.append(rest.replace("/wiki/", "/entity/", 1))
    return [f"{scheme}://{folder}" for folder in folders for scheme in ("http", "https")]


def _distinct(forms: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(forms))
