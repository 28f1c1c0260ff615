"""A data set of a dozen creatures, small trainings on it, and the things that they leave, made once a test run."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from melder.data import DataSet
from melder.training.configuration import Configuration
from melder.training.loop.train import train

COLOURS = {"red": (200, 30, 40), "green": (20, 140, 60), "blue": (30, 50, 190), "grey": (120, 120, 120)}
BEASTS = ("kite", "panda", "fox")
PLACES = ("by the river", "near the old mill", "in the north", "at dusk", "after the rain", "in a tree", "on a hill")
SIDE = 40  # pixels

Record = dict[str, Any]
_MADE: dict[str, Path] = {}


def once(name: str, make: Callable[[Path], None]) -> Path:
    """A directory that `make` filled, the same for every test of this process."""
    if name not in _MADE:
        _MADE[name] = Path(tempfile.mkdtemp(prefix="melder-test-"))
        atexit.register(shutil.rmtree, _MADE[name], ignore_errors=True)
        make(_MADE[name])
    return _MADE[name]


def small_data() -> Path:
    """40 mentions to train on, 14 for dev and 10 for test; one in each split is NIL, every fifth has no picture."""
    return once("data", write_data)


def write_data(directory: Path) -> None:
    kinds = [(colour, beast) for colour in COLOURS for beast in BEASTS]
    (directory / "images").mkdir(parents=True)
    for number, kind in enumerate(kinds):
        _draw(directory / f"images/{number}.png", kind, shift=0)
    write_lines(directory / "entities.jsonl", [_entity(number, *kind) for number, kind in enumerate(kinds)])
    for first, (split, count) in enumerate({"train": 40, "dev": 14, "test": 10}.items()):
        numbers = [(7 * first + 5 * number) % len(kinds) for number in range(count)]
        records = [_mention(split, number, entity, kinds[entity]) for number, entity in enumerate(numbers)]
        records[3] |= {"answer": None}
        write_lines(directory / f"{split}.jsonl", records)
        for number, record in enumerate(records):
            if record["image"]:
                _draw(directory / record["image"], kinds[numbers[number]], shift=number % 7)


def write_lines(path: Path, records: list[Record]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def read_lines(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def with_more_pictures(dataset: DataSet) -> DataSet:
    """The data with a second picture of every other entity and mention that has one, and a third of every fourth."""
    pictures = [image for entity in dataset.entities for image in entity.images]
    entities = [
        entity.model_copy(update={"images": (*entity.images, *_further(pictures, number))})
        for number, entity in enumerate(dataset.entities)
    ]
    train = [
        mention.with_images((*mention.images, *_further(pictures, number))) if mention.image else mention
        for number, mention in enumerate(dataset.split("train"))
    ]
    return replace(dataset, entities=entities, _splits={"train": train})


def _further(pictures: Sequence[str], number: int) -> Sequence[str]:
    return [] if number % 2 else [pictures[(number + 5 * n) % len(pictures)] for n in range(1, 2 + (number % 4 == 0))]


def settings(data: Path, *, trained: bool = False, **training: Any) -> Record:
    """A configuration whose training lasts three epochs of four steps and takes a second."""
    fast = {"batch_size": 10, "epochs": 3, "learning_rate": 2e-3, "epsilon": 1e-8, "validate_every": 1}
    return {
        "data": {"directory": str(data)},
        "encoder": {"name": "clip:compact", "trained": trained, "text_length": 16},
        "method": {"name": "m3el", "hidden": 16, "image_width": 16},
        "training": fast | {"drop_text": 0.2, "drop_image": 0.2, "checkpoint_every": 2, "warmup_steps": 2} | training,
    }


def small_run() -> Path:
    """A finished run whose encoder was trained too."""
    return once("run", lambda out: _train_into(out, settings(small_data(), trained=True)))


def _train_into(out: Path, content: Record) -> None:
    train(Configuration(**content), out)


def _entity(number: int, colour: str, beast: str) -> Record:
    return {
        "id": f"Q{number}",
        "name": f"{colour.title()} {beast}",
        "aliases": [f"{beast} of the {colour} kind"],
        "description": f"A {beast} with {colour} fur that sleeps {PLACES[number % len(PLACES)]}.",
        "images": [f"images/{number}.png"],
    }


def _mention(split: str, number: int, entity: int, kind: tuple[str, str]) -> Record:
    start = f"{number} days ago a "
    surface = kind[1] if number % 3 else " ".join(kind)
    text = f"{start}{surface} was seen {PLACES[(number + len(split)) % len(PLACES)]}."
    text += " Nobody knew where it had come from, or why." if number % 5 == 1 else ""
    image = None if number % 5 == 4 else f"images/{split}-{number}.png"
    span = {"start": len(start), "end": len(start) + len(surface), "surface": surface}
    return {"id": f"{split}-{number}", "text": text, **span, "image": image, "answer": f"Q{entity}"}


def _draw(path: Path, kind: tuple[str, str], shift: int) -> None:
    """The colour as background, the beast as a white bar whose height differs."""
    picture = Image.new("RGB", (SIDE, SIDE), COLOURS[kind[0]])
    height = 6 + 10 * BEASTS.index(kind[1])
    picture.paste((250, 250, 250), (4 + shift, 4, 24 + shift, 4 + height))
    picture.save(path)
