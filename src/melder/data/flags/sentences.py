"""Sentences that name a nation ambiguously, with or without a hint, from the templates of `sentences.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from melder.data.flags.nations import FACTS, Nation, nations

__all__ = ["Sentence", "compose", "groups", "look_alikes", "name_outright", "surfaces"]

FULL_NAME = 0.10  # share of sentences that give the nation's name
GROUP = 0.65  # share of the rest that use a surface of one of the nation's groups, if it is in any
TRAINING, HELD_OUT = ("both", "train"), ("both", "held_out")  # kinds of templates
HINTED = 0.70  # share of sentences with a hint, where the picture can do without

# How often each fact is told: with a picture mostly what many nations share, without one what tells them apart.
_WITH_PICTURE = (0.32, 0.30, 0.18, 0.10, 0.10)
_WITHOUT_PICTURE = (0.0, 0.05, 0.25, 0.35, 0.35)


@dataclass(frozen=True)
class Sentence:
    """A text with a mention.

    Args:
        text: All of it.
        start, end: Of the surface, in code points.
    """

    text: str
    start: int
    end: int

    @property
    def surface(self) -> str:
        return self.text[self.start : self.end]


def compose(random: np.random.Generator, nation: Nation, *, training: bool, pictured: bool) -> Sentence:
    """A sentence about a nation; without a picture, or where flags look alike, it always holds a hint.

    Args:
        random: By which it is drawn.
        nation: That is meant.
        training: Whether words are taken that training may see.
        pictured: Whether a picture goes with it.

    Returns:
        The sentence.
    """
    pool = TRAINING if training else HELD_OUT
    sentence = _fill(_choose(random, _templates()["openings"], pool), _surface(random, nation))
    if random.random() >= HINTED and pictured and not look_alikes(nation.code):
        return sentence
    hint = _hint(random, nation, pool, _WITH_PICTURE if pictured else _WITHOUT_PICTURE)
    if random.random() < 0.5:
        return Sentence(f"{sentence.text} {hint}", sentence.start, sentence.end)
    shift = len(hint) + 1
    return Sentence(f"{hint} {sentence.text}", sentence.start + shift, sentence.end + shift)


def name_outright(random: np.random.Generator, nation: Nation) -> Sentence:
    """A sentence for training that gives the nation's name, and no hint.

    Args:
        random: By which it is drawn.
        nation: That is meant.

    Returns:
        The sentence.
    """
    return _fill(_choose(random, _templates()["openings"], TRAINING), nation.name)


@cache
def groups() -> dict[str, tuple[tuple[str, ...], frozenset[str]]]:
    """The confusable groups by name: their surfaces, and the codes of their members.

    Returns:
        By name.
    """
    rows = _read("groups.yaml")["groups"]
    return {name: (tuple(row["surfaces"]), frozenset(row["members"])) for name, row in rows.items()}


@cache
def look_alikes(code: str) -> tuple[str, ...]:
    """The codes of the other nations whose flags a photograph hardly tells from this one's.

    Args:
        code: Of a nation.

    Returns:
        None for most.
    """
    rows: list[list[str]] = _read("groups.yaml")["alike"]
    return tuple(other for row in rows if code in row for other in row if other != code)


@cache
def surfaces(code: str) -> tuple[str, ...]:
    """The surfaces of all groups that a nation is in.

    Args:
        code: Of a nation.

    Returns:
        None for most.
    """
    return tuple(surface for names, members in groups().values() if code in members for surface in names)


def _surface(random: np.random.Generator, nation: Nation) -> str:
    if random.random() < FULL_NAME:
        return nation.name
    shared = surfaces(nation.code)
    if shared and random.random() < GROUP:
        return _pick(random, shared)
    return _pick(random, _read("groups.yaml")["anyone"])


def _hint(random: np.random.Generator, nation: Nation, pool: tuple[str, ...], weights: tuple[float, ...]) -> str:
    """A sentence that tells one fact, and one that no look-alike shares: the picture cannot make up for it."""
    others = [other for other in nations() if other.code in look_alikes(nation.code)]
    shared = [any(other.facts[fact] == nation.facts[fact] for other in others) for fact in FACTS]
    useful = np.where(shared, 0.0, weights)
    fact = FACTS[int(random.choice(len(FACTS), p=useful / useful.sum()))]
    return _choose(random, _templates()["hints"][fact], pool).format(fact=nation.facts[fact])


def _fill(opening: str, surface: str) -> Sentence:
    start = opening.index("{who}")
    written = surface if start else surface[0].upper() + surface[1:]
    return Sentence(opening.replace("{who}", written), start, start + len(written))


def _choose(random: np.random.Generator, kinds: dict[str, list[str]], pool: tuple[str, ...]) -> str:
    return _pick(random, [template for name in pool for template in kinds[name]])


def _pick(random: np.random.Generator, choices: list[str] | tuple[str, ...]) -> str:
    return choices[int(random.integers(len(choices)))]


def _templates() -> dict[str, Any]:
    return _read("sentences.yaml")


@cache
def _read(name: str) -> dict[str, Any]:
    rows: dict[str, Any] = yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return rows
