"""Writes the flags data set in Melder's own layout: entities.jsonl, train, dev and test, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from melder.data.flags.drawing import draw_flag
from melder.data.flags.nations import Nation, nations
from melder.data.flags.photographs import photograph, scene, to_jpeg
from melder.data.flags.resumption import Drawing, Split
from melder.data.flags.sentences import Sentence, compose, name_outright
from melder.data.writing import write_lines
from melder.protocols import Counting
from melder.records import MelderError, Mention

__all__ = ["is_drawn", "write_flags"]

PICTURED = 0.90  # share of mentions that have a picture
BY_NAME = 340  # mentions of train that name the nation outright: two of each
_BESIDE = 0.6  # share of those that have a picture, which shows no flag
_CLOTH_HEIGHT = 180  # pixels of the drawing that photographs are taken of: more than any photograph shows


def write_flags(
    directory: Path,
    *,
    seed: int = 0,
    train: int = 2500,
    held_out: int = 300,
    by_name: int = BY_NAME,
    counting: Counting | None = None,
) -> None:
    """Write the data set, or go on where writing it with these arguments was interrupted.

    Pictures have paths relative to the directory. Records are a function of the arguments, byte for byte.

    Args:
        directory: where it goes; what a finished or another drawing left there is replaced.
        seed: of the photographs and sentences.
        train: photographs' mentions to train on.
        held_out: mentions each of dev and test.
        by_name: further mentions to train on, which give the nation's name, beside a picture without a flag or none:
            without them nothing teaches that a name alone decides.
        counting: starts a progress bar with a title and a total.

    Raises:
        MelderError: the directory cannot be written.
    """
    splits = {"train": Split(train, by_name), "dev": Split(held_out), "test": Split(held_out)}
    try:
        drawing = Drawing.open(directory, {"seed": seed, **{name: tuple(split) for name, split in splits.items()}})
        _write_entities(directory)
        (directory / "images" / "mentions").mkdir(parents=True, exist_ok=True)
        _write_mentions(directory, drawing, splits, seed, counting)
        drawing.finish()
    except OSError as error:
        raise MelderError(f"cannot write the flags to {directory} ({error}): choose another directory") from error


def is_drawn(directory: Path) -> bool:
    """Whether the directory holds the whole data set.

    Args:
        directory: Of the data set.

    Returns:
        False of one whose drawing was stopped.
    """
    return (directory / "test.jsonl").is_file() and not Drawing.is_unfinished(directory)


def _write_entities(directory: Path) -> None:
    (directory / "images" / "entities").mkdir(parents=True, exist_ok=True)
    paths = {nation.code: f"images/entities/{nation.code}.png" for nation in nations()}
    for nation in nations():
        draw_flag(nation.flag, nation.ratio).save(directory / paths[nation.code])
    write_lines(directory / "entities.jsonl", (nation.entity(paths[nation.code]) for nation in nations()))


def _write_mentions(
    directory: Path, drawing: Drawing, splits: Mapping[str, Split], seed: int, counting: Counting | None
) -> None:
    advance = counting("drawing", sum(map(sum, splits.values()))) if counting else lambda done: None
    cloths = {nation.code: draw_flag(nation.flag, nation.ratio, _CLOTH_HEIGHT) for nation in nations()}
    for number, (name, split) in enumerate(splits.items()):
        if name in drawing.written:
            advance(sum(split))
            continue
        random = np.random.default_rng([seed, number])
        turns = _turns(random, split.photographed)
        mentions = drawing.resume(name, random)
        advance(len(mentions))
        for nation in turns[len(mentions) :]:
            mentions.append(_photographed(directory, f"{name}-{len(mentions):05}", nation, cloths, random))
            drawing.note(name, random, mentions)
            advance(1)
        mentions += _by_name(directory, name, split, np.random.default_rng([seed, number, 1]))
        write_lines(directory / f"{name}.jsonl", mentions)
        drawing.complete(name)
        advance(split.by_name)


def _turns(random: np.random.Generator, count: int) -> list[Nation]:
    """The nations in random order, each about equally often."""
    rounds = max(1, -(-count // len(nations())))
    order = np.concatenate([random.permutation(len(nations())) for _ in range(rounds)])[:count]
    return [nations()[index] for index in order]


def _photographed(
    directory: Path, identity: str, nation: Nation, cloths: Mapping[str, Image.Image], random: np.random.Generator
) -> Mention:
    """A mention that mostly leaves open which nation is meant, and a photograph of its flag."""
    image = f"images/mentions/{identity}.jpg" if random.random() < PICTURED else None
    if image is not None:
        (directory / image).write_bytes(to_jpeg(photograph(cloths[nation.code], random), random))
    sentence = compose(random, nation, training=identity.startswith("train"), pictured=image is not None)
    return _mention(identity, nation, image, sentence)


def _by_name(directory: Path, name: str, split: Split, random: np.random.Generator) -> list[Mention]:
    """Mentions that give the name, some of them beside a picture in which no flag is seen."""
    mentions = []
    for number, nation in enumerate(_turns(random, split.by_name), start=split.photographed):
        identity = f"{name}-{number:05}"
        image = f"images/mentions/{identity}.jpg" if random.random() < _BESIDE else None
        if image is not None:
            (directory / image).write_bytes(to_jpeg(scene(random), random))
        mentions.append(_mention(identity, nation, image, name_outright(random, nation)))
    return mentions


def _mention(identity: str, nation: Nation, image: str | None, sentence: Sentence) -> Mention:
    return Mention(
        id=identity,
        text=sentence.text,
        start=sentence.start,
        end=sentence.end,
        surface=sentence.surface,
        image=image,
        answer=nation.code,
    )
