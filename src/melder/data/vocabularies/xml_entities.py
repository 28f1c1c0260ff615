"""Entities of XML, looked at before anything is made of them: those of entities multiply, and others name files."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from melder.records import MelderError

__all__ = ["check_xml_entities"]

LONGEST = 300  # characters of an entity: RDF/XML has the starts of addresses in them


def check_xml_entities(path: Path, data: bytes) -> None:
    """Refuse XML whose entities hold others, are long, or stand elsewhere; nothing is expanded here.

    Args:
        path: For messages.
        data: Of the file.

    Raises:
        MelderError: With the first of them.
    """
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = lambda *declared: _check(path, *declared)
    parser.StartElementHandler = _stop
    try:
        parser.Parse(data, True)
    except (_Stop, expat.ExpatError):  # rdflib says what is wrong
        return
    except (LookupError, ValueError) as error:  # of the encoding
        raise MelderError(f"{path}: its XML cannot be read ({error}); save it as UTF-8") from None


class _Stop(Exception):
    """All entities are declared before the first element."""


def _stop(name: str, attributes: dict[str, str]) -> None:
    raise _Stop


def _check(
    path: Path,
    name: str,
    is_parameter: bool,
    value: str | None,
    base: str | None,
    system: str | None,
    public: str | None,
    notation: str | None,
) -> None:
    if value is None or is_parameter:
        raise MelderError(
            f"{path}: the entity {name!r} stands elsewhere, and nothing is fetched; write it into the file"
        )
    if "&" in value or len(value) > LONGEST:
        raise MelderError(
            f"{path}: the entity {name!r} holds another one, or more than {LONGEST} characters; write it out"
        )
