"""Addresses (IRIs) of entities, texts and mentions in formats that have them."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from melder.records import Decided, Link

__all__ = ["ADDRESS", "ENTITY_PREFIX", "address_of", "answer_of", "text_address"]

ENTITY_PREFIX = "http://www.wikidata.org/entity/"  # what stands before ids, unless somebody says otherwise
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]+", re.IGNORECASE)
NIL = 0.5  # from this NIL probability on a mention is none of the entities, where no threshold was named


def address_of(identity: str, prefix: str) -> str:
    """The address of an entity: the prefix and its id, or the id itself where it is an address already."""
    return identity if "://" in identity and ADDRESS.fullmatch(identity) else prefix + quote(identity, safe="")


def text_address(text: str) -> str:
    """The address of a text, which follows from what it says: the same text has the same one everywhere."""
    return f"urn:melder:text:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def answer_of(link: Link) -> str | None:
    """The id of the entity that a mention means; None for none of them.

    It is what was decided with a threshold, else the best candidate, but for a NIL probability of `NIL` or more.
    """
    if isinstance(link, Decided):
        return link.answer
    nil = link.nil_probability
    return None if not link.candidates or (nil is not None and nil >= NIL) else link.candidates[0].id
