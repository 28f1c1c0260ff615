"""Layouts whose records are captions, each with all of its mentions in parallel lists: MELBench's and KGMEL's.

One file holds all mentions. Their splits come from `ids_split_mappings.json`, if that lies beside it; otherwise all
are in train. Entities come from `entities.jsonl`, if that does; otherwise they are the answers, by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BeforeValidator

from melder.data.raw import Name, Text, is_nil, span
from melder.data.sibling_entities import ENTITY_FILE, answered_entities, answers_note, entities_beside
from melder.data.split_mapping import SPLIT_FILE, read_mapping
from melder.io.problems import Fault, Problems
from melder.records import Entity, Mention

__all__ = ["Answers", "Caption", "CaptionLayout", "Texts", "parallel"]


def _listed(value: Any) -> Any:
    return [value] if value is None or isinstance(value, str) else value


# Lists, or the one element of a list, as files with one mention a caption have it.
Texts = Annotated[list[Text], BeforeValidator(_listed)]
Answers = Annotated[list[Name | None], BeforeValidator(_listed)]


@dataclass(frozen=True)
class Caption:
    """A sentence with its picture and its mentions; the lists have one element a mention.

    Args:
        number: Its place in the file, counted from 1.
        key: What split files call it.
        identifier: What the ids of its mentions begin with; never the answer.
        sentence: Its text.
        surfaces: Of the mentions.
        names: Of the answers.
        answers: Ids; None = NIL.
        image: The name of its picture.
    """

    number: int  # place in the file, counted from 1
    key: str  # what split files call it
    identifier: str  # what the ids of its mentions begin with; never the answer
    sentence: str
    surfaces: Sequence[str]
    names: Sequence[str]  # of the answers
    answers: Sequence[str | None]
    image: str | None = None

    def mentions(self) -> Iterator[Mention]:
        """A record a mention; surfaces are percent-decoded, as in MIMIC's copies of the same data."""
        for place, (surface, answer) in enumerate(zip(self.surfaces, self.answers, strict=True)):
            surface = unquote(surface)
            start, end = span(self.sentence, surface)
            yield Mention(
                id=f"{self.identifier}-{place}",
                text=self.sentence,
                start=start,
                end=end,
                surface=surface,
                image=self.image,
                answer=None if is_nil(answer) else answer,
            )

    def named_answers(self) -> Iterator[tuple[int, str, str]]:
        """(number, answer, its name) of each mention that has an answer."""
        for name, answer in zip(self.names, self.answers, strict=True):
            if answer is not None and not is_nil(answer):
                yield self.number, answer, unquote(name)


def parallel(**lists: Sequence[object]) -> list[Fault]:
    """Faults of lists that must be equally long, by their names in the file.

    Args:
        lists: By their names in the file; the first says how long all are.

    Returns:
        None where all are alike.
    """
    (first, reference), *others = lists.items()
    return [
        (name, f"has {len(values)} elements, {first} has {len(reference)}; give each mention one")
        for name, values in others
        if len(values) != len(reference)
    ]


class CaptionLayout:
    """A directory with one file of captions. Read the entities first: the file is read with them, and once.

    Args:
        name: Of the layout.
        file: Of the captions.
        data_set: What the file of splits calls it.
        read: Gives the captions of the file.
    """

    field_names: Mapping[str, str] = {"mention.image": "imgPath"}
    feature_keys: Mapping[str, str] | None = None

    def __init__(
        self, name: str, file: Path, data_set: str, read: Callable[[Path, Problems], Iterator[Caption]]
    ) -> None:
        self.name = name
        self.directory = self.entity_pictures = self.mention_pictures = file.parent
        beside = file.parent / ENTITY_FILE
        self.entity_file = beside if beside.is_file() else file
        self.notes: tuple[str, ...] = ()
        self._file, self._data_set, self._read = file, data_set, read
        self._captions: dict[str, list[Caption]] = {}  # by split

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        """Entities with their numbers in `entity_file`; what is wrong with captions goes to `problems` as well."""
        mapping = read_mapping(self.directory / SPLIT_FILE, self._data_set)
        captions = list(self._read(self._file, problems))
        for caption in captions:
            split = mapping.split_of.get(caption.key) if mapping else "train"
            if split:
                self._captions.setdefault(split, []).append(caption)
        no_mapping = f"there is no {SPLIT_FILE}: all mentions are in train"
        notes = mapping.notes(caption.key for caption in captions) if mapping else [no_mapping]
        found = entities_beside(self.directory, problems)
        if found is None:
            found = answered_entities(each for caption in captions for each in caption.named_answers())
            notes.append(answers_note(len(found)))
        self.notes = tuple(notes)
        return iter(found)

    def split_file(self, split: str) -> Path | None:
        """The file of captions for the splits that it has mentions of."""
        return self._file if split in self._captions else None

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]:
        """The mentions of a split with the numbers of their captions, in the file's order."""
        for caption in self._captions[split]:
            yield from ((caption.number, mention) for mention in caption.mentions())
