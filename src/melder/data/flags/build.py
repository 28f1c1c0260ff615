"""Writes the flags data set in Melder's own layout: entities.jsonl, train, dev and test, and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from melder.data.flags.drawing import draw_flag
from melder.data.flags.nations import Nation, nations
from melder.data.flags.photographs import photograph, to_jpeg
from melder.data.flags.sentences import compose
from melder.data.writing import write_lines
from melder.protocols import Counting
from melder.records import MelderError, Mention

__all__ = ["write_flags"]

PICTURED = 0.90  # share of mentions that have a picture
_CLOTH_HEIGHT = 180  # pixels of the drawing that photographs are taken of: more than any photograph shows


def write_flags(
    directory: Path, *, seed: int = 0, train: int = 2500, held_out: int = 300, counting: Counting | None = None
) -> None:
    """Write the data set: `train` mentions to train on, `held_out` each for dev and test.

    Pictures have paths relative to the directory. Records are a function of the arguments, byte for byte.
    Raises MelderError where the directory cannot be written.
    """
    splits = {"train": train, "dev": held_out, "test": held_out}
    advance = counting("mentions", sum(splits.values())) if counting else lambda done: None
    try:
        _write_entities(directory)
        cloths = {nation.code: draw_flag(nation.flag, nation.ratio, _CLOTH_HEIGHT) for nation in nations()}
        for number, (split, count) in enumerate(splits.items()):
            _write_split(directory, split, count, cloths, np.random.default_rng([seed, number]), advance)
    except OSError as error:
        raise MelderError(f"cannot write the flags to {directory} ({error}): choose another directory") from error


def _write_entities(directory: Path) -> None:
    (directory / "images" / "entities").mkdir(parents=True, exist_ok=True)
    paths = {nation.code: f"images/entities/{nation.code}.png" for nation in nations()}
    for nation in nations():
        draw_flag(nation.flag, nation.ratio).save(directory / paths[nation.code])
    write_lines(directory / "entities.jsonl", (nation.entity(paths[nation.code]) for nation in nations()))


def _write_split(
    directory: Path,
    split: str,
    count: int,
    cloths: Mapping[str, Image.Image],
    random: np.random.Generator,
    advance: Callable[[int], None],
) -> None:
    (directory / "images" / "mentions").mkdir(parents=True, exist_ok=True)
    mentions = []
    for number, nation in enumerate(_turns(random, count)):
        image = f"images/mentions/{split}-{number:05}.jpg" if random.random() < PICTURED else None
        if image is not None:
            (directory / image).write_bytes(to_jpeg(photograph(cloths[nation.code], random), random))
        mentions.append(_mention(random, f"{split}-{number:05}", nation, image, training=split == "train"))
        advance(1)
    write_lines(directory / f"{split}.jsonl", mentions)


def _turns(random: np.random.Generator, count: int) -> list[Nation]:
    """The nations in random order, each about equally often."""
    rounds = -(-count // len(nations()))
    order = np.concatenate([random.permutation(len(nations())) for _ in range(rounds)])[:count]
    return [nations()[index] for index in order]


def _mention(
    random: np.random.Generator, identity: str, nation: Nation, image: str | None, *, training: bool
) -> Mention:
    sentence = compose(random, nation, training=training, pictured=image is not None)
    return Mention(
        id=identity,
        text=sentence.text,
        start=sentence.start,
        end=sentence.end,
        surface=sentence.surface,
        image=image,
        answer=nation.code,
    )
