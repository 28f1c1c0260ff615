"""Mentions as people have them: a row or a line may leave out what follows from the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from pydantic import ValidationError

from melder.data.own import plain_record
from melder.data.picture_names import PictureNames, leads_out
from melder.data.raw import span
from melder.data.tables.header import Header, hints
from melder.data.tables.options import Notes, TableOptions
from melder.data.tables.rows import FileRows
from melder.data.tables.table import Table
from melder.io.problems import Problems, describe
from melder.records import MelderError, Mention

__all__ = [
    "MENTION_FIELDS",
    "check_words",
    "complete_mention",
    "is_unplaced",
    "table_mentions",
    "with_file",
    "with_span",
]

MENTION = "mention"  # what the command line calls a surface
MENTION_FIELDS = (*Mention.model_fields, MENTION)
WORDS = (MENTION, "surface", "text")  # of which a table has one
NUMBERS = ("start", "end")


def complete_mention(value: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The fields of a mention, from those that a record gives.

    Args:
        value: a record; `mention` is another word for `surface`
        number: its line or row, which is its id where it has none

    Returns:
        As `Mention` has them.
    """
    fields = {"id": str(number), **plain_record(value)}
    if MENTION in fields and "surface" not in fields:
        fields["surface"] = fields.pop(MENTION)
    return fields


def with_span(mention: Mention) -> Mention:
    """A mention that says where it is: at the first place of its surface, or all of the text without one.

    Args:
        mention: Any.

    Returns:
        The same where there is nothing to add.
    """
    if mention.start is not None or not mention.text:
        return mention
    surface = mention.surface or mention.text
    start, end = span(mention.text, surface)
    return mention if start is None else mention.model_copy(update={"surface": surface, "start": start, "end": end})


def is_unplaced(mention: Mention) -> bool:
    """Whether a mention's words do not stand in its text as they are written; what is known of it are both, apart.

    Args:
        mention: Any.

    Returns:
        Whether it is to be counted.
    """
    return bool(mention.text and mention.surface) and mention.start is None


def with_file(mention: Mention, names: PictureNames) -> Mention:
    """A mention with the names of the files that its pictures' names mean, where there are such.

    Args:
        mention: Whose pictures are named as in its record.
        names: Of the files in a directory.

    Returns:
        The mention.

    Raises:
        MelderError: A symbolic link leads out of the directory.
    """
    for name in filter(names.is_there, mention.images):
        if not PurePath(name).is_absolute() and leads_out(names.directory, name):
            raise MelderError(
                f"{names.directory / name}: is a symbolic link out of the directory of pictures (mention "
                f"{mention.id!r}); copy the picture there, or name the other with --images"
            )
    if all(map(names.is_there, mention.images)):
        return mention
    return mention.with_images(
        [name if names.is_there(name) else names.located(name) or name for name in mention.images]
    )


def table_mentions(path: Path, options: TableOptions, problems: Problems, notes: Notes) -> Iterator[Mention]:
    """The good mentions of a table; bad rows go to `problems`.

    Args:
        path: Of the table.
        options: How it is read.
        problems: Takes bad rows.
        notes: Told how it was read.

    Yields:
        In the order of the rows.

    Raises:
        MelderError: No column holds a text or a mention.
    """
    table = Table(FileRows.of(path, options), MENTION_FIELDS, (WORDS,), (), options)
    header = table.header(Notes())
    if header is not None:
        check_words(path, header, table.source.remedy)
    for number, values in table.rows(problems, notes):
        try:
            yield Mention.model_validate(complete_mention(_with_numbers(values), number))
        except ValidationError as error:
            problems.add(path, number, describe(error, Mention))


def check_words(path: Path, header: Header, remedy: str = "") -> None:
    """Check that a table has mentions.

    Args:
        path: The table, for messages.
        header: What its columns hold.
        remedy: What else may help, in the words of a message.

    Raises:
        MelderError: No column holds a text or a mention.
    """
    if not header.fields & {*WORDS}:
        hinted = [hint] if (hint := hints(header.names, header.fields, MENTION_FIELDS)) else []
        said = "; ".join([f"the headers are {', '.join(header.names)}", *hinted])
        raise MelderError(
            f"{path}, row {header.row}: has no column 'mention' or 'text'; say which column holds the mentions with "
            f"--column mention=HEADER ({said}){remedy}"
        )


def _with_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: int(values[name]) for name in NUMBERS if str(values.get(name, "")).isdecimal()}
    return {**values, **numbers}
