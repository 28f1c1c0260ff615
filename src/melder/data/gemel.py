"""The layout of GEMEL: `train.json`, `dev.json` and `test.json` in JSON Lines, picture features in an HDF5 file.

A line is `{"text", "mention", "target", "golden", "img_url" or "img_name"}`. `target` is the name of the answer,
`golden` is "NIL" where there is none, and the last is the key of the picture's vector in the HDF5 file
(`hdf5_features` converts it). A text may mark its mention as `[START_ENT] … [END_ENT]`: the markers are taken out
and say where the mention is. Entities are not among these files: they come from `entities.jsonl`, if that lies
beside them; otherwise they are the targets, a name being an id.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from melder.data.layouts import Layout
from melder.data.own import read_lines
from melder.data.raw import RawRecord, Text, is_nil, span
from melder.data.sibling_entities import ENTITY_FILE, answered_entities, answers_note, entities_beside
from melder.io.problems import Fault, Problems
from melder.records import Entity, Mention

__all__ = ["LAYOUT", "GemelLayout", "picture_name", "unmarked"]

FILES = {"train": "train.json", "dev": "dev.json", "test": "test.json"}
LONGEST = 200  # bytes of a picture's name, well below the 255 that file systems allow
_IN_NO_NAME = re.compile(r'[%/\\:?*"<>|]')
_MARKED = re.compile(r"\[START_ENT\] ?(.*?) ?\[END_ENT\]", re.DOTALL)


class _RawMention(RawRecord):
    text: Text
    mention: Text
    target: Text | None = None
    golden: JsonValue = None  # read for "NIL" and, where there is a file of entities, for an id
    img_url: Text | None = None
    img_name: Text | None = None

    @property
    def key(self) -> str | None:
        return self.img_url or self.img_name or None

    @property
    def nil(self) -> bool:
        return isinstance(self.golden, str) and is_nil(self.golden)


class GemelLayout:
    """A directory in the layout of GEMEL. Read the entities first: all splits are read with them, and once.

    `feature_keys` gives the key in the HDF5 file for each name of a picture, once the entities are read.

    Args:
        directory: Of the data set.
    """

    name = "gemel"
    field_names = {"mention.image": "img_url", "mention.answer": "target"}  # noqa: RUF012

    def __init__(self, directory: Path) -> None:
        self.directory = self.entity_pictures = directory
        self.mention_pictures = directory / "images"
        beside = directory / ENTITY_FILE
        self.entity_file = beside if beside.is_file() else next(iter(_files(directory)), directory / FILES["train"])
        self.notes: tuple[str, ...] = ()
        self.feature_keys: dict[str, str] = {}
        self._mentions: dict[str, list[tuple[int, Mention]]] = {}
        self._marked = 0  # texts that had markers

    @staticmethod
    def recognises(directory: Path) -> bool:
        """Whether the first line of the first split has the fields of this layout; whole arrays are MIMIC's."""
        for path in _files(directory):
            with path.open("rb") as file:
                line = file.readline()
            try:
                content = TypeAdapter(dict[str, JsonValue]).validate_json(line)
            except ValidationError:
                return False
            return {"text", "mention"} <= content.keys()
        return False

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        """Entities with their numbers in `entity_file`; what is wrong with mentions goes to `problems` as well."""
        beside = entities_beside(self.directory, problems)
        answers = _Answers(beside)
        named: list[tuple[int, str, str]] = []
        for path in _files(self.directory):
            rows = self._mentions.setdefault(path.stem, [])
            for number, raw in read_lines(path, _RawMention, problems):
                answer, faults = answers(raw)
                if faults:
                    problems.add(path, number, faults)
                    continue
                rows.append((number, self._mention(raw, f"{path.stem}-{number - 1}", answer)))
                named += [(number, answer, answer)] if answer is not None else []
        self.notes = self.notes + (() if not self._marked else (_markers_note(self._marked),))
        if beside is not None:
            return iter(beside)
        found = answered_entities(named)
        self.notes = (answers_note(len(found)), *self.notes)
        return iter(found)

    def split_file(self, split: str) -> Path | None:
        """The file of a split, None when there is none."""
        path = self.directory / FILES[split]
        return path if path.is_file() else None

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]:
        """The mentions of a split with their line numbers."""
        return iter(self._mentions[split])

    def _mention(self, raw: _RawMention, identifier: str, answer: str | None) -> Mention:
        text, start, end = unmarked(raw.text, raw.mention)
        self._marked += text != raw.text
        image = None if raw.key is None else picture_name(raw.key)
        if raw.key is not None and image is not None:
            self.feature_keys[image] = raw.key
        return Mention(id=identifier, text=text, start=start, end=end, surface=raw.mention, image=image, answer=answer)


def unmarked(text: str, mention: str) -> tuple[str, int, int] | tuple[str, None, None]:
    """(text without markers, start, end): the mention where it is marked, otherwise where it first occurs.

    One space inside each marker belongs to it, as GENRE writes them. Offsets count code points of the new text.

    Args:
        text: With or without markers.
        mention: The surface.

    Returns:
        The pair of places is None where it does not occur.
    """
    parts: list[str] = []
    inside: list[tuple[int, str]] = []  # where each marked stretch starts in the new text
    end = 0
    for match in _MARKED.finditer(text):
        parts += [text[end : match.start()], match[1]]
        inside.append((sum(map(len, parts)) - len(match[1]), match[1]))
        end = match.end()
    whole = "".join([*parts, text[end:]])
    for offset, stretch in inside:
        start, stop = span(stretch, mention)
        if start is not None and stop is not None:
            return whole, offset + start, offset + stop
    return whole, *span(whole, mention)


def _markers_note(texts: int) -> str:
    return (
        f"markers: {texts:,} texts marked their mention ([START_ENT] … [END_ENT]); they are taken out, and "
        "method.markers=true writes them into GEMEL's prompts again, as the published code reads them"
    )


def picture_name(key: str) -> str:
    """The name of a picture for a key that is a URL or a file name: one path part, and another for another key.

    What file names may not hold on some system is percent-encoded; a long key is cut to its end, after a digest of
    the whole.

    Args:
        key: Of a picture in the HDF5 file.

    Returns:
        The name.
    """
    name = _IN_NO_NAME.sub(lambda match: f"%{ord(match[0]):02X}", key)
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{digest}-{name.encode()[-LONGEST + 33 :].decode(errors='ignore')}"


def _files(directory: Path) -> list[Path]:
    return [directory / name for name in FILES.values() if (directory / name).is_file()]


class _Answers:
    """Finds the id of the answer that a record names; `entities` None = names are ids."""

    def __init__(self, entities: Sequence[tuple[int, Entity]] | None) -> None:
        self._named: dict[str, list[str]] | None = None if entities is None else defaultdict(list)
        self._ids = frozenset(entity.id for _, entity in entities or ())
        if self._named is not None:
            for _, entity in entities or ():
                self._named[entity.name].append(entity.id)

    def __call__(self, raw: _RawMention) -> tuple[str | None, list[Fault]]:
        """`golden`, if that is the id of an entity, otherwise the entity whose name is `target`."""
        if raw.nil:
            return None, []
        if isinstance(raw.golden, str) and raw.golden in self._ids:
            return raw.golden, []
        if not raw.target:
            return None, [("target", 'is missing or empty; name the answer, or write "NIL" as golden')]
        found = [raw.target] if self._named is None else self._named.get(raw.target, [raw.target])
        if len(found) > 1:
            message = f"{raw.target!r} is the name of several entities ({', '.join(found[:3])}); give the id as golden"
            return None, [("target", message)]
        return found[0], []


LAYOUT = Layout(
    "train.json of one object a line (GEMEL's)",
    GemelLayout.recognises,
    lambda directory, text_field: GemelLayout(directory),
    entities_beside=True,
)
