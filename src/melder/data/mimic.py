"""The layout of the data that MIMIC, M3EL and OT-MEL publish.

`kb_entity.json` (an array of entities), `qid2id.json` (QID to number), `<name>_{train,dev,test}.json` (arrays of
mentions), pictures in `kb_image/` and `mention_image/`. Source: the data modules of `pengfei-luo/MIMIC`, whose
reading this follows but for its defects: it drops mentions whose answer is "nil" (and stops at them when the KB
has no such key), reads one line of `qid2id.json`, and gives an entity of another type its predecessor's text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import Field, TypeAdapter, ValidationError

from melder.data.layouts import Layout
from melder.data.raw import Identifier, Name, RawRecord, Text, is_nil, span
from melder.io.json_array import read_array
from melder.io.problems import Fault, Problems, describe, read_bytes
from melder.records import Entity, MelderError, Mention

__all__ = ["LAYOUT", "MimicLayout"]


class _RawEntity(RawRecord):
    id: Annotated[int, Field(ge=0)]
    type: Literal["entity"] = "entity"
    entity_name: Text
    image_list: list[Text]
    qid: Name | None = None
    attr: Text | None = None
    desc: Text | None = None


class _RawMention(RawRecord):
    id: Identifier | None = None
    sentence: Text
    mentions: Text
    imgPath: Text  # noqa: N815 - the published name
    answer: Name | None


class MimicLayout:
    """A directory in the layout of MIMIC. Read the entities first: answers are looked up in their numbers.

    Args:
        directory: Of the data set.
        text_field: Which of an entity's two texts is read: attr or desc.
    """

    name = "mimic"
    notes: tuple[str, ...] = ()
    feature_keys: Mapping[str, str] | None = None
    field_names = {"entity.id": "qid", "entity.images": "image_list", "mention.image": "imgPath"}  # noqa: RUF012

    def __init__(self, directory: Path, text_field: str) -> None:
        if text_field not in ("attr", "desc"):
            raise MelderError(f"text_field is {text_field!r}; use attr or desc, the two texts of an entity")
        self.directory = directory
        self.text_field = text_field
        self.entity_file = directory / "kb_entity.json"
        self.entity_pictures = directory / "kb_image"
        plural = directory / "mention_images"  # as the published RichpediaMEL archive has it
        singular = directory / "mention_image"
        self.mention_pictures = plural if plural.is_dir() and not singular.is_dir() else singular
        self._numbers: dict[str, int] = {}  # qid2id.json
        self._identifiers: dict[int, str] = {}  # entity number to entity id

    @staticmethod
    def recognises(directory: Path) -> bool:
        return (directory / "kb_entity.json").is_file()

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        """Entities in the order of `id`, with their places in the file; the unusable go to `problems`."""
        self._numbers = _read_numbers(self.directory / "qid2id.json", problems)
        first_name = {number: qid for qid, number in reversed(self._numbers.items())}
        places: dict[int, int] = {}
        found: list[tuple[int, _RawEntity]] = []
        for place, value in read_array(self.entity_file, problems):
            try:
                raw = _RawEntity.model_validate(value)
            except ValidationError as error:
                problems.add(self.entity_file, place, describe(error, _RawEntity))
                continue
            raw.qid = raw.qid or first_name.get(raw.id)
            if faults := self._faults(raw, places):
                problems.add(self.entity_file, place, faults)
                continue
            places[raw.id] = place
            found.append((place, raw))
        self._check_range(places, problems)
        found.sort(key=lambda pair: pair[1].id)
        return ((place, self._entity(raw)) for place, raw in found)

    def split_file(self, split: str) -> Path | None:
        """The file of a split, None when there is none.

        Raises:
            MelderError: Several files could be it.
        """
        pattern = re.compile(rf"(.*_)?{split}\.json", re.IGNORECASE)
        files = sorted(path for path in self.directory.iterdir() if pattern.fullmatch(path.name))
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise MelderError(f"{self.directory}: several files could be the {split} split ({names}); keep one")
        return files[0] if files else None

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]:
        """Mentions in the file's order, with their places in it; the unusable go to `problems`."""
        for place, value in read_array(path, problems):
            try:
                raw = _RawMention.model_validate(value)
                image = _picture_name(raw.imgPath)
            except ValidationError as error:
                problems.add(path, place, describe(error, _RawMention))
            except MelderError as error:
                problems.add(path, place, [("imgPath", str(error))])
            else:
                yield place, self._mention(raw, image, f"{split}-{place - 1}")

    def _faults(self, raw: _RawEntity, places: dict[int, int]) -> list[Fault]:
        faults: list[Fault] = []
        if raw.id in places:
            faults.append(("id", f"{raw.id} is also the id of record {places[raw.id]}; give each its own number"))
        if raw.qid is None:
            faults.append(("qid", f"is missing, and qid2id.json has no name for {raw.id}; add it to either"))
        elif self._numbers.get(raw.qid, raw.id) != raw.id:
            number = self._numbers[raw.qid]
            faults.append(("id", f"is {raw.id}, but qid2id.json says {number} for {raw.qid}; make both agree"))
        if getattr(raw, self.text_field) is None:
            other = "desc" if self.text_field == "attr" else "attr"
            faults.append((self.text_field, f"is missing; add it, or read the texts with text_field={other}"))
        return faults

    def _check_range(self, places: dict[int, int], problems: Problems) -> None:
        """Numbers must run 0…N-1: a score column is a place in the sorted list. Bad records leave gaps anyway."""
        missing = next((number for number in range(len(places)) if number not in places), None)
        if missing is not None and not problems.records:
            message = f"ids must run from 0 to {len(places) - 1}, but {missing} is missing; number the records anew"
            problems.add(self.entity_file, 0, [("id", message)])

    def _entity(self, raw: _RawEntity) -> Entity:
        identifier = self._identifiers[raw.id] = raw.qid or ""
        description: str = getattr(raw, self.text_field)
        images = tuple(raw.image_list)
        return Entity(id=identifier, name=unquote(raw.entity_name), description=description, images=images)

    def _mention(self, raw: _RawMention, image: str | None, default_id: str) -> Mention:
        surface = unquote(raw.mentions)
        start, end = span(raw.sentence, surface)
        answer = None if is_nil(raw.answer) else self._answer(raw.answer)
        return Mention(
            id=raw.id or default_id,
            text=raw.sentence,
            start=start,
            end=end,
            surface=surface,
            image=image,
            answer=answer,
        )

    def _answer(self, qid: str | None) -> str | None:
        """qid2id.json may give an entity several QIDs (redirects); its id is that of its own record."""
        number = self._numbers.get(qid or "")
        return qid if number is None else self._identifiers.get(number, qid)


def _picture_name(path: str) -> str | None:
    """The file that the published loader opens: the base name up to its first dot, as JPEG."""
    if not path:
        return None
    stem = path.rsplit("/", 1)[-1].split(".", 1)[0]
    if not stem:
        raise MelderError(f'{path!r} names no file; name one, or write "" where there is no picture')
    return f"{stem}.jpg"


def _read_numbers(path: Path, problems: Problems) -> dict[str, int]:
    """QID to entity number; nothing when the file is absent, which is enough where each entity has its `qid`."""
    if not path.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, int]).validate_json(read_bytes(path), strict=True)
    except ValidationError as error:
        for fault in describe(error, _RawEntity):
            problems.add(path, 0, [fault])
        return {}


LAYOUT = Layout("kb_entity.json (MIMIC's)", MimicLayout.recognises, MimicLayout)
