"""Tables with tabs: entities.tsv of id, name, description, picture; train.tsv of id, text, surface, picture, answer."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from melder.data.layouts import Layout
from melder.io.problems import Problems
from melder.records import Entity, Mention


class TableReader:
    """A directory of such tables. Pictures are named by paths relative to it."""

    name = "tsv"
    notes: tuple[str, ...] = ()
    field_names: Mapping[str, str] = {"entity.images": "picture", "mention.image": "picture"}
    feature_keys: Mapping[str, str] | None = None

    def __init__(self, directory: Path) -> None:
        self.directory = self.entity_pictures = self.mention_pictures = directory
        self.entity_file = directory / "entities.tsv"

    def entities(self, problems: Problems) -> Iterator[tuple[int, Entity]]:
        for number, row in _rows(self.entity_file, 4, problems):
            yield number, Entity(id=row[0], name=row[1], description=row[2], images=(row[3],) if row[3] else ())

    def split_file(self, split: str) -> Path | None:
        path = self.directory / f"{split}.tsv"
        return path if path.is_file() else None

    def mentions(self, split: str, path: Path, problems: Problems) -> Iterator[tuple[int, Mention]]:
        for number, (identity, text, surface, image, answer) in _rows(path, 5, problems):
            start = text.find(surface)
            end = None if start < 0 else start + len(surface)
            yield (
                number,
                Mention(
                    id=identity,
                    text=text,
                    start=None if start < 0 else start,
                    end=end,
                    surface=surface,
                    image=image or None,
                    answer=answer or None,
                ),
            )


def _rows(path: Path, width: int, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter="\t"), 1):
            if len(row) == width:
                yield number, row
            else:
                problems.add(path, number, [("", f"has {len(row)} columns where {width} are needed")])


LAYOUT = Layout(
    "entities.tsv (tables with tabs)",
    lambda directory: (directory / "entities.tsv").is_file(),
    lambda directory, text_field: TableReader(directory),
)
