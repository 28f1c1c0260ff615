"""One unit that aligns: the mention beside a candidate, coloured by what matched, and the pairs that stand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from melder.evaluation.report.heat import Pair, even_share, levels, percent, stands_out, strongest
from melder.evaluation.report.places import patch_name
from melder.linking.evidence import AlignedUnit, Read

__all__ = ["AlignedSide", "AlignmentView", "alignment_view"]

WORD_PAIRS, PATCH_PAIRS = 6, 3  # listed: what shows at a glance
LITTLE = 0.005  # of the weight, which is not worth a sentence


@dataclass(frozen=True)
class AlignedSide:
    """A mention or a candidate: what it is called here, what was read of it, its picture, and how it is coloured.

    Args:
        heat: A level for each word or patch.
        weights: Of a candidate, those of each of its words or patches to the mention's.
        numbers: Written on patches, by patch.
    """

    name: str
    read: Read
    picture: Path | bytes | None
    heat: Sequence[int] = ()
    weights: Sequence[Sequence[float]] = ()
    numbers: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AlignmentView:
    """What a page shows of one unit.

    Args:
        unit: Its name.
        added: What it adds to the score.
        modality: Whose tokens it compares.
        even: An even share of the weight.
        sides: The mention's words or patches, and the entity's, coloured.
        pairs: Which matched best, and how much, in words.
        lost: The weight on tokens that are shown nowhere, empty if it is little.
    """

    unit: str
    added: float
    modality: str
    even: float
    sides: tuple[AlignedSide, AlignedSide]
    pairs: Sequence[tuple[str, str, str]]
    lost: str


def alignment_view(
    unit: str, added: float, aligned: AlignedUnit, mention: AlignedSide, entity: AlignedSide
) -> AlignmentView:
    """Both sides of an alignment, coloured, with the pairs whose share is well above an even one.

    Args:
        unit: The name of the unit.
        added: What it adds to the score.
        aligned: Which words or patches matched.
        mention: The mention, not yet coloured.
        entity: The candidate, not yet coloured.

    Returns:
        The view.
    """
    draw = _texts if aligned.modality == "text" else _pictures
    sides, pairs = draw(aligned, mention, entity)
    lost = 1 - sum(aligned.received)
    said = percent(lost) if lost >= LITTLE else ""
    return AlignmentView(unit, added, aligned.modality, even_share(aligned), sides, pairs, said)


Drawn = tuple[tuple[AlignedSide, AlignedSide], list[tuple[str, str, str]]]


def _texts(aligned: AlignedUnit, mention: AlignedSide, entity: AlignedSide) -> Drawn:
    even = even_share(aligned)
    best = levels([max(row) for row in aligned.weights], even)
    sides = (
        AlignedSide(mention.name, mention.read, None, levels(aligned.received, even)),
        AlignedSide(entity.name, entity.read, None, best, aligned.weights),
    )
    return sides, _word_pairs(aligned, mention.read, entity.read)


def _pictures(aligned: AlignedUnit, mention: AlignedSide, entity: AlignedSide) -> Drawn:
    """The entity's patches have no colour at rest: each has a best match, and few a much better one than others."""
    pairs = list(enumerate(_clear(aligned, distinct=True)[:PATCH_PAIRS], start=1))
    heat = levels(aligned.received, even_share(aligned)), [0] * len(aligned.weights)
    marks = {other: number for number, (_, other, _) in pairs}, {place: number for number, (place, _, _) in pairs}
    sides = (
        AlignedSide(mention.name, mention.read, mention.picture, heat[0], numbers=marks[0]),
        AlignedSide(entity.name, entity.read, entity.picture, heat[1], aligned.weights, marks[1]),
    )
    grids = entity.read.grid or (1, 1), mention.read.grid or (1, 1)
    listed = [
        (f"{number}: {patch_name(place, grids[0])}", patch_name(other, grids[1]), percent(weight))
        for number, (place, other, weight) in pairs
    ]
    return sides, listed


def _word_pairs(aligned: AlignedUnit, mention: Read, entity: Read) -> list[tuple[str, str, str]]:
    """Without punctuation, which takes much of the attention, and each pair of words once."""
    pairs: dict[tuple[str, str], str] = {}
    for place, other, weight in _clear(aligned):
        words = _word(entity, place), _word(mention, other)
        if all(any(map(str.isalnum, word)) for word in words):
            pairs.setdefault(words, percent(weight))
    return [(*words, weight) for words, weight in list(pairs.items())[:WORD_PAIRS]]


def _clear(aligned: AlignedUnit, *, distinct: bool = False) -> list[Pair]:
    even = even_share(aligned)
    return [pair for pair in strongest(aligned, distinct=distinct) if stands_out(pair[2], even)]


def _word(read: Read, place: int) -> str:
    start, end = read.words[place]
    return read.text[start:end]
