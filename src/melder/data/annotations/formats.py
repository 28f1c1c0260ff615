"""The formats of annotation tools, by name, and what is read from a file of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from melder.io.problems import Problems, describe
from melder.records import Mention

__all__ = ["NIL", "AnnotationFormat", "Annotations", "details", "json_lines", "nil_or_id", "objects"]

NIL = "NIL"  # what a person answers where no entity is right; more may stand behind it, as in spaCy's recipe
AMBIGUOUS = "NIL_ambiguous"  # that recipe's answer where nobody can tell


@dataclass
class Annotations:
    """The answered mentions of a file.

    Args:
        name: Of the file, for messages.
        problems: Takes what is no mention.
        mentions: Those that somebody has answered.
        unanswered: How many nobody has.
    """

    name: str
    problems: Problems
    mentions: list[Mention] = field(default_factory=list)
    unanswered: int = 0

    def add(self, number: int, fields: Mapping[str, Any]) -> None:
        """A mention of record `number`; one that is none is noted in the problems."""
        try:
            self.mentions.append(Mention.model_validate_json(json.dumps(fields), strict=True))
        except ValidationError as error:
            self.problems.add(self.name, number, describe(error, Mention))

    def refuse(self, number: int, where: str, message: str) -> None:
        """Record `number` is nothing that can be read; `where` names its field."""
        self.problems.add(self.name, number, [(where, message)])


@dataclass(frozen=True)
class AnnotationFormat:
    """A format.

    Args:
        read: fills `Annotations` from the bytes of a file
        write: a file's text; a mention whose `answer` nobody has set goes out unanswered
    """

    read: Callable[[bytes, Annotations], None]
    write: Callable[[Iterable[Mention]], str]


def nil_or_id(answer: str) -> tuple[bool, str | None]:
    """Whether a person's answer says anything, and what.

    Args:
        answer: As a tool of annotation writes it.

    Returns:
        Whether it does, and the entity's id; None for NIL.
    """
    if not answer.strip() or answer == AMBIGUOUS:
        return False, None
    return True, None if answer == NIL or answer.startswith(f"{NIL}_") else answer.strip()


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none where it is something else.

    Args:
        value: Of JSON.

    Returns:
        In their order.
    """
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def details(mention: Mention) -> dict[str, Any]:
    """What a task carries besides the text, so that it comes back.

    Args:
        mention: That is written.

    Returns:
        By field, those that are not empty.
    """
    fields = {"id": mention.id, "image": mention.image, "language": mention.language}
    return {name: content for name, content in fields.items() if content}


def json_lines(data: bytes, annotations: Annotations) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of JSON Lines with their numbers.

    Args:
        data: Of the file.
        annotations: Takes what lines are none, among its problems.

    Yields:
        From 1 on.
    """
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield number, value
        else:
            annotations.refuse(number, "", "is no JSON object; write one task a line")
