"""One unit that aligns: the mention beside a candidate, coloured by what matched, and the strongest pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from melder.evaluation.report.figures import table
from melder.evaluation.report.heat import even_share, levels, percent, strongest
from melder.evaluation.report.markup import Markup, element
from melder.evaluation.report.places import patch_name, patches, words
from melder.evaluation.report.thumbnails import Album
from melder.linking.evidence import AlignedUnit, Read

__all__ = ["Shown", "aligned_unit"]

SIDE = 448  # pixels of a picture: twice what a screen of ordinary density shows
WORD_PAIRS, PATCH_PAIRS = 6, 3  # listed: what shows at a glance
LITTLE = 0.005  # of the weight, which is not worth a sentence


@dataclass(frozen=True)
class Shown:
    """A mention or a candidate: what it is called here, what was read of it, its picture."""

    name: str
    read: Read
    picture: Path | bytes | None


def aligned_unit(unit: str, added: float, aligned: AlignedUnit, mention: Shown, entity: Shown, album: Album) -> Markup:
    """Heading, both sides, the line that the script writes to, the strongest pairs, and what fell on neither."""
    heading = element("h3", unit.replace("_", " "), " ", element("small", f"adds {added:.3f} to the score"))
    if aligned.modality == "text":
        sides, pairs = _texts(aligned, mention, entity), _word_pairs(aligned, mention.read, entity.read)
    else:
        sides, pairs = _pictures(aligned, mention, entity, album), _patch_pairs(aligned, mention.read, entity.read)
    compared = element("div", *sides, class_=f"compared {aligned.modality}", data_even=f"{even_share(aligned):.5f}")
    matched = element("p", class_="matched", role="status")
    return element("div", heading, compared, matched, pairs, *_lost(aligned), class_="aligned")


def _texts(aligned: AlignedUnit, mention: Shown, entity: Shown) -> list[Markup]:
    even = even_share(aligned)
    best = levels([max(row) for row in aligned.weights], even)
    told = words(mention.read, levels(aligned.received, even))
    return [_side(mention.name, told), _side(entity.name, words(entity.read, best, aligned.weights))]


def _pictures(aligned: AlignedUnit, mention: Shown, entity: Shown, album: Album) -> list[Markup]:
    """The entity's patches have no colour at rest: each has a best match, and few a much better one than others."""
    pairs = list(enumerate(strongest(aligned, distinct=True)[:PATCH_PAIRS], start=1))
    heat = levels(aligned.received, even_share(aligned)), [0] * len(aligned.weights)
    marks = {other: number for number, (_, other, _) in pairs}, {place: number for number, (place, _, _) in pairs}
    layers = [
        patches(mention.read.grid or (1, 1), heat[0], marks[0]),
        patches(entity.read.grid or (1, 1), heat[1], marks[1], aligned.weights),
    ]
    return [
        _side(shown.name, element("div", _picture(shown, album), layer, class_="picture"))
        for shown, layer in zip((mention, entity), layers, strict=True)
    ]


def _picture(shown: Shown, album: Album) -> Markup:
    alternative = "Picture that goes with the mention" if shown.name == "Mention" else f"Picture of {shown.name}"
    return album.thumbnail(shown.picture, alternative, SIDE)


def _side(name: str, content: Markup) -> Markup:
    return element("figure", element("figcaption", name, dir="auto"), content)


def _word_pairs(aligned: AlignedUnit, mention: Read, entity: Read) -> Markup:
    """Without punctuation, which takes much of the attention, and each pair of words once."""
    pairs: dict[tuple[str, str], str] = {}
    for place, other, weight in strongest(aligned):
        named = _word(entity, place), _word(mention, other)
        if all(any(map(str.isalnum, word)) for word in named):
            pairs.setdefault(named, percent(weight))
    rows = [(*named, weight) for named, weight in list(pairs.items())[:WORD_PAIRS]]
    return table(("Word of the candidate", "took most from", "share"), rows, "numbers pairs") if rows else Markup()


def _patch_pairs(aligned: AlignedUnit, mention: Read, entity: Read) -> Markup:
    rows = [
        (
            f"{number}: {patch_name(place, entity.grid or (1, 1))}",
            patch_name(other, mention.grid or (1, 1)),
            percent(weight),
        )
        for number, (place, other, weight) in enumerate(strongest(aligned, distinct=True)[:PATCH_PAIRS], start=1)
    ]
    return table(("Patch of the candidate", "took most from", "share"), rows, "numbers pairs")


def _lost(aligned: AlignedUnit) -> list[Markup]:
    lost = 1 - sum(aligned.received)
    if lost < LITTLE:
        return []
    kind = "marks that stand for no word" if aligned.modality == "text" else "tokens that stand for no patch"
    return [element("p", f"{percent(lost)} of all weight fell on {kind}.", class_="note")]


def _word(read: Read, place: int) -> str:
    start, end = read.words[place]
    return read.text[start:end]
