"""The layout of MELBench: `Wikidata-MEL.json` or `Richpedia-MEL.json`, an object of captions by their keys.

A caption is `{"id", "sentence", "mentions", "entities", "answer"}`: in Wikidata-MEL three parallel lists, one
element a mention; in Richpedia-MEL three texts. There are no splits, pictures or entities (see `captions`).
The key and the `id` of Richpedia-MEL are the answer itself, so its mentions are named by their place in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from melder.data.captions import Answers, Caption, CaptionLayout, Texts, parallel
from melder.data.layouts import Layout
from melder.data.raw import Name, RawRecord, Text
from melder.io.json_object import read_object
from melder.io.problems import Fault, Problems, describe
from melder.records import MelderError

__all__ = ["LAYOUT", "is_melbench", "open_melbench"]

KEYED_BY_CAPTION, KEYED_BY_ANSWER = "Wikidata-MEL.json", "Richpedia-MEL.json"
DATA_SETS = {KEYED_BY_CAPTION: "WikiMEL", KEYED_BY_ANSWER: "RichpediaMEL"}  # their names in split files


class _RawCaption(RawRecord):
    key: Name
    sentence: Text
    mentions: Texts
    entities: Texts
    answer: Answers


def is_melbench(directory: Path) -> bool:
    """Whether the directory holds a file of MELBench.

    Args:
        directory: Of a data set.

    Returns:
        Whether this layout reads it.
    """
    return bool(_files(directory))


def open_melbench(directory: Path) -> CaptionLayout:
    """The one file of MELBench in the directory.

    Args:
        directory: Of the data set.

    Returns:
        The layout.

    Raises:
        MelderError: There is none, or both are there.
    """
    files = _files(directory)
    if not files:
        raise MelderError(f"{directory}: holds none of {', '.join(DATA_SETS)}; name the directory that does")
    if len(files) > 1:
        raise MelderError(f"{directory}: holds {' and '.join(DATA_SETS)}; give each data set a directory of its own")
    return CaptionLayout("melbench", files[0], DATA_SETS[files[0].name], _captions)


def _files(directory: Path) -> list[Path]:
    return [directory / name for name in DATA_SETS if (directory / name).is_file()]


def _captions(file: Path, problems: Problems) -> Iterator[Caption]:
    for number, (key, value) in enumerate(read_object(file, problems).items(), 1):
        shown = key.encode(errors="replace").decode()  # half a surrogate pair cannot be printed
        try:
            raw = _RawCaption.model_validate({**value, "key": key} if isinstance(value, dict) else value)
        except ValidationError as error:
            problems.add(file, number, _within(shown, describe(error, _RawCaption)))
            continue
        if faults := parallel(mentions=raw.mentions, entities=raw.entities, answer=raw.answer):
            problems.add(file, number, _within(shown, faults))
            continue
        identifier = key if file.name == KEYED_BY_CAPTION else str(number - 1)
        yield Caption(number, key, identifier, raw.sentence, raw.mentions, raw.entities, raw.answer)


def _within(key: str, faults: list[Fault]) -> list[Fault]:
    """Faults with their fields below `key`, as they are found in the file."""
    return [(f"{key}.{where}" if where else key, what) for where, what in faults]


LAYOUT = Layout(
    "Wikidata-MEL.json or Richpedia-MEL.json (MELBench's)",
    is_melbench,
    lambda directory, text_field: open_melbench(directory),
    entities_beside=True,
)
