"""The page that shows what was matched: a section a candidate, its texts and pictures beside those of the mention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from melder.evaluation.report.aligned import Shown, aligned_unit
from melder.evaluation.report.document import write_document
from melder.evaluation.report.figures import facts
from melder.evaluation.report.gallery import unit_bars
from melder.evaluation.report.markup import Markup, element
from melder.evaluation.report.thumbnails import Album
from melder.linking.evidence import ExplainedCandidate, Explanation

__all__ = ["ExplanationPage", "write_explanation"]

Picture = Path | bytes | None

HOW = (
    "The deeper the colour, the stronger the match; an even spread has none. Of the mention it shows how much the "
    "whole candidate took from each word or patch, of a candidate's text how much each word took from its best match. "
    "Equal numbers on two pictures: patches that matched best. Underlined: the mention. Grey: not read, too long."
)
CHOOSE = "Choose a word or a patch, with the pointer or with Tab and the arrow keys, to see what it matched."
NOTHING_TO_SHOW = "compared whole texts, whole pictures or names, or lacked one of them: nothing to show but the bar."


@dataclass(frozen=True)
class ExplanationPage:
    """An explanation, the pictures of the mention and of each entity by its id, and what was run."""

    explanation: Explanation
    picture: Picture = None
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        best = [_name(each) for each in self.explanation.candidates[:1]]
        return f"“{self.explanation.surface}” → {best[0] if best else 'no entity'}"


def write_explanation(path: Path, page: ExplanationPage) -> None:
    """Write `page` as one HTML file that needs nothing beside it."""
    album, candidates = Album(), list(enumerate(page.explanation.candidates, start=1))
    header = element(
        "header",
        element("h1", page.title, dir="auto"),
        facts(page.run),
        element("p", HOW, class_="note"),
        element("p", CHOOSE, class_="note choose", hidden=""),
    )
    sections = [_candidate(rank, each, page, album) for rank, each in candidates]
    styles = ("report.css", "explanation.css")
    write_document(path, page.title, [header, _tabs(candidates), *sections], styles=styles, script="explanation.js")


def _tabs(candidates: Sequence[tuple[int, ExplainedCandidate]]) -> Markup:
    """Links, of which the script makes tabs."""
    links = [
        element("a", f"{rank}. ", element("bdi", _name(each)), href=f"#candidate-{rank}") for rank, each in candidates
    ]
    return element("nav", *links, class_="tabs", aria_label="Candidates")


def _candidate(rank: int, candidate: ExplainedCandidate, page: ExplanationPage, album: Album) -> Markup:
    identity = "" if candidate.id == _name(candidate) else f"{candidate.id}, "
    score = element("small", f"{identity}score {candidate.score:.3f}")
    heading = element("h2", f"{rank}. ", element("bdi", _name(candidate)), " ", score)
    bars = unit_bars(candidate.units, [each.units for each in page.explanation.candidates])
    mention = Shown("Mention", page.explanation.read, page.picture)
    entity = Shown(_name(candidate), candidate.read, page.pictures.get(candidate.id))
    drawn = [
        aligned_unit(unit, candidate.units[unit], each, mention, entity, album)
        for unit, each in candidate.aligned.items()
    ]
    others = [unit.replace("_", " ") for unit in candidate.units if unit not in candidate.aligned]
    rest = [element("p", f"{', '.join(others)}: {NOTHING_TO_SHOW}", class_="note")] if others else []
    return element("section", heading, bars, *drawn, *rest, id=f"candidate-{rank}", class_="candidate")


def _name(candidate: ExplainedCandidate) -> str:
    return candidate.name or candidate.id
