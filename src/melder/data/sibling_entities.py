"""The knowledge base of layouts that publish mentions only: a file beside them, or their answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from melder.data.own import read_lines
from melder.io.problems import Problems
from melder.records import Entity

__all__ = ["ENTITY_FILE", "answered_entities", "answers_note", "entities_beside"]

ENTITY_FILE = "entities.jsonl"  # as in Melder's own layout


def entities_beside(directory: Path, problems: Problems) -> list[tuple[int, Entity]] | None:
    """The entities of `entities.jsonl` with their line numbers; None when there is no such file.

    Args:
        directory: Of a data set.
        problems: Takes every line that is no entity.

    Returns:
        Numbers from 1 on, and entities.
    """
    path = directory / ENTITY_FILE
    return list(read_lines(path, Entity, problems)) if path.is_file() else None


def answered_entities(answers: Iterable[tuple[int, str, str]]) -> list[tuple[int, Entity]]:
    """An entity for each answer, in their order.

    The first name given is the entity's name, others are its aliases. Nothing else is known of it.

    Args:
        answers: The number of the record, the answer, and the name given for it.

    Returns:
        The number of the first record, and the entity.
    """
    first: dict[str, int] = {}
    names: dict[str, dict[str, None]] = {}  # a dict for its order
    for number, answer, name in answers:
        first.setdefault(answer, number)
        names.setdefault(answer, {})[name] = None
    found = ((answer, *given) for answer, given in names.items())
    return [(first[answer], Entity(id=answer, name=name, aliases=tuple(rest))) for answer, name, *rest in found]


def answers_note(count: int) -> str:
    """What a user must know of a knowledge base that `answered_entities` made.

    Args:
        count: Entities.

    Returns:
        A sentence.
    """
    return (
        f"there is no {ENTITY_FILE}: the knowledge base is the {count:,} answers of all mentions, by the names given "
        "there, without descriptions, pictures or any entity that is no answer; figures are not comparable with others"
    )
