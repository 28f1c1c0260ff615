"""A small data set in which no check finds anything, to plant findings in."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from melder.data import load
from melder.data.audit import Audited, gather

Record = dict[str, Any]
WORDS = ("harbour", "violin", "glacier", "orchard", "lantern", "falcon", "quarry", "meadow")
SPLITS = {"train": 4, "dev": 2, "test": 2}


@dataclass
class Made:
    """Records and files that may be changed before they are written. Mention and entity n are about WORDS[n]."""

    entities: list[Record] = field(default_factory=list)
    splits: dict[str, list[Record]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def mention(self, split: str, place: int) -> Record:
        return self.splits[split][place]

    def write(self, directory: Path) -> Path:
        for name, records in {"entities": self.entities, **self.splits}.items():
            lines = "".join(json.dumps(record) + "\n" for record in records)
            (directory / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        for name, data in self.files.items():
            (directory / name).write_bytes(data)
        return directory

    def audited(self, directory: Path, *, skip_bad: bool = False) -> Audited:
        return gather(load(self.write(directory), skip_bad=skip_bad))


def made() -> Made:
    """Eight entities with a picture each; four, two and two mentions, of one entity each."""
    data = Made()
    for number, word in enumerate(WORDS):
        image = f"e{number}.png"
        data.files[image] = encoded(photo(100 + number))
        about = f"What one knows of the {word}."
        data.entities.append({"id": f"Q{number}70", "name": f"{word} thing", "description": about, "images": [image]})
    numbers = iter(range(len(WORDS)))
    for split, count in SPLITS.items():
        data.splits[split] = [_mention(data, split, next(numbers)) for _ in range(count)]
    return data


def _mention(data: Made, split: str, number: int) -> Record:
    image, word = f"m{number}.png", WORDS[number]
    data.files[image] = encoded(photo(number))
    text = f"The {word} in the evening."
    span = {"start": 4, "end": 4 + len(word), "surface": word}
    return {"id": f"{split}{number}", "text": text, **span, "image": image, "answer": f"Q{number}70"}


def photo(seed: int, size: int = 96) -> Image.Image:
    """Smooth random colours: unlike those of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
