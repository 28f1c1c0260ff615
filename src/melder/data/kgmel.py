"""The layout of KGMEL's WikiDiverse: `WikiDiverse.json`, an array of captions, and `ids_split_mappings.json`.

A caption is `{"id", "sentence", "imgPath", "mention", "entity", "answer", "img-url"}`, where mention, entity and
answer are parallel lists, one element a mention. `imgPath` is read relative to the directory; "" = no picture.
Entities are not among these files (see `captions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from melder.data.captions import Answers, Caption, CaptionLayout, Texts, parallel
from melder.data.layouts import Layout
from melder.data.raw import Identifier, RawRecord, Text
from melder.io.json_array import read_array
from melder.io.problems import Problems, describe

__all__ = ["LAYOUT", "is_kgmel", "open_kgmel"]

FILE = "WikiDiverse.json"


class _RawCaption(RawRecord):
    id: Identifier
    sentence: Text
    imgPath: Text | None = None  # noqa: N815 - the published name
    mention: Texts
    entity: Texts
    answer: Answers


def is_kgmel(directory: Path) -> bool:
    """Whether the directory holds KGMEL's file.

    Args:
        directory: Of a data set.

    Returns:
        Whether this layout reads it.
    """
    return (directory / FILE).is_file()


def open_kgmel(directory: Path) -> CaptionLayout:
    """KGMEL's file in the directory.

    Args:
        directory: Of the data set.

    Returns:
        The layout.
    """
    return CaptionLayout("kgmel", directory / FILE, "WikiDiverse", _captions)


def _captions(file: Path, problems: Problems) -> Iterator[Caption]:
    for number, value in read_array(file, problems):
        try:
            raw = _RawCaption.model_validate(value)
        except ValidationError as error:
            problems.add(file, number, describe(error, _RawCaption))
            continue
        if faults := parallel(mention=raw.mention, entity=raw.entity, answer=raw.answer):
            problems.add(file, number, faults)
            continue
        yield Caption(number, raw.id, raw.id, raw.sentence, raw.mention, raw.entity, raw.answer, raw.imgPath or None)


LAYOUT = Layout(
    "WikiDiverse.json (KGMEL's)", is_kgmel, lambda directory, text_field: open_kgmel(directory), entities_beside=True
)
