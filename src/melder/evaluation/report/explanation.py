"""The page that shows what was matched: a section a candidate, its texts and pictures beside those of the mention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from melder.evaluation.report.aligned import AlignedSide, AlignmentView, alignment_view
from melder.evaluation.report.charts import unit_axis
from melder.evaluation.report.document import write_document
from melder.evaluation.report.headlines import candidate_name, explanation_headline
from melder.evaluation.report.places import patches, segments
from melder.evaluation.report.thumbnails import Album
from melder.linking.evidence import ExplainedCandidate, Explanation, MatchedPictures
from melder.records import Picture

__all__ = ["ExplanationPage", "write_explanation"]


@dataclass(frozen=True)
class ExplanationPage:
    """What a page of an explanation shows.

    Args:
        explanation: Of one mention.
        shown: The mention's pictures.
        pictures: Those of each entity, by its id.
        run: What was run, by name.
    """

    explanation: Explanation
    shown: Sequence[Picture] = ()
    pictures: Mapping[str, Sequence[Picture | None]] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The surface, and the name of the best candidate."""
        best = [candidate_name(candidate) for candidate in self.explanation.candidates[:1]]
        return f"“{self.explanation.surface}” → {best[0] if best else 'no entity'}"

    def alignments(self, candidate: ExplainedCandidate) -> list[AlignmentView]:
        """What each unit that aligns matched of a candidate."""
        views, name, of_entity = [], candidate_name(candidate), self.pictures.get(candidate.id, ())
        for unit, aligned in candidate.aligned.items():
            matched = candidate.pictures.get(unit, MatchedPictures())
            mention = AlignedSide("Mention", self.explanation.read, _numbered(self.shown, matched.mention))
            entity = AlignedSide(name, candidate.read, _numbered(of_entity, matched.entity))
            views.append(alignment_view(unit, candidate.units[unit], aligned, mention, entity))
        return views

    def matched(self, candidate: ExplainedCandidate) -> list[str]:
        """Which of several pictures each unit matched, in words."""
        shown, of_entity = len(self.shown), len(self.pictures.get(candidate.id, ()))
        said = []
        for unit, matched in candidate.pictures.items():
            places = [
                f"picture {number + 1} of {count} of the {whose}"
                for number, count, whose in ((matched.mention, shown, "mention"), (matched.entity, of_entity, "entity"))
                if count > 1
            ]
            said += [f"{unit.replace('_', ' ')}: {' with '.join(places)}"] if places else []
        return said


def _numbered(pictures: Sequence[Picture | None], number: int) -> Picture | None:
    return pictures[number] if number < len(pictures) else None


def write_explanation(path: Path, page: ExplanationPage) -> None:
    """Write an explanation as one HTML file that needs nothing beside it.

    Args:
        path: Of the file.
        page: What it shows.
    """
    candidates = page.explanation.candidates
    write_document(
        path,
        "explanation.html",
        styles=("report.css", "explanation.css"),
        script="explanation.js",
        page=page,
        title=page.title,
        album=Album(),
        headline=explanation_headline(page.explanation),
        axis=unit_axis(candidate.units for candidate in candidates),
        segments=segments,
        patches=patches,
    )
