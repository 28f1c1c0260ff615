"""A file of mentions in any of the formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from melder.data.annotations.formats import AnnotationFormat, Annotations
from melder.data.annotations.label_studio import LABEL_STUDIO
from melder.data.annotations.prodigy import PRODIGY
from melder.data.own import parse_lines, plain_record
from melder.io.problems import Problems, read_bytes
from melder.records import MelderError, Mention

__all__ = ["format_named", "keep_marked", "read_annotations"]


def format_named(name: str) -> AnnotationFormat:
    """A format of annotations by its name.

    Args:
        name: Of the format.

    Returns:
        The format.

    Raises:
        MelderError: There is none of this name.
    """
    if name not in FORMATS:
        raise MelderError(f"{name}: is no format of annotations; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def read_annotations(path: Path, form: AnnotationFormat, problems: Problems) -> Annotations:
    """What a file holds.

    Args:
        path: Of the file.
        form: That it has.
        problems: told of every record that is none

    Returns:
        Mentions, and how many nobody has answered.

    Raises:
        MelderError: The file cannot be read.
    """
    annotations = Annotations(str(path), problems)
    form.read(read_bytes(path), annotations)
    return annotations


def keep_marked(annotations: Annotations) -> None:
    """Leave out mentions that stand nowhere in their text, which no tool can show; the problems name them.

    Args:
        annotations: They are changed.
    """
    for number, mention in enumerate(annotations.mentions, 1):
        if mention.start is None:
            annotations.refuse(number, "start", f"of mention {mention.id!r} is null, and tools mark places in texts")
    annotations.mentions = [mention for mention in annotations.mentions if mention.start is not None]


def _read_own(data: bytes, annotations: Annotations) -> None:
    """All mentions: in Melder's own file one without an answer is there to be answered."""
    lines = parse_lines(data.split(b"\n"), annotations.name, Mention, annotations.problems, _with_nil)
    annotations.mentions += (mention for _, mention in lines)


def _with_nil(value: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A record put right, in which an answer of null is still NIL and no answer is none."""
    return plain_record(value) | ({"answer": None} if value.get("answer", "") is None else {})


def _write_own(mentions: Iterable[Mention]) -> str:
    return "".join(f"{mention.model_dump_json()}\n" for mention in mentions)


FORMATS = {"melder": AnnotationFormat(_read_own, _write_own), "label-studio": LABEL_STUDIO, "prodigy": PRODIGY}
