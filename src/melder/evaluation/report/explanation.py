"""The page that shows what was matched: a section a candidate, its texts and pictures beside those of the mention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from melder.evaluation.report.aligned import AlignedSide, AlignmentView, alignment_view
from melder.evaluation.report.charts import unit_axis
from melder.evaluation.report.document import write_document
from melder.evaluation.report.headlines import candidate_name, explanation_headline
from melder.evaluation.report.places import patches, segments
from melder.evaluation.report.thumbnails import Album
from melder.linking.evidence import ExplainedCandidate, Explanation

__all__ = ["ExplanationPage", "write_explanation"]

Picture = Path | bytes | None


@dataclass(frozen=True)
class ExplanationPage:
    """An explanation, the pictures of the mention and of each entity by its id, and what was run."""

    explanation: Explanation
    picture: Picture = None
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The surface, and the name of the best candidate."""
        best = [candidate_name(candidate) for candidate in self.explanation.candidates[:1]]
        return f"“{self.explanation.surface}” → {best[0] if best else 'no entity'}"

    def alignments(self, candidate: ExplainedCandidate) -> list[AlignmentView]:
        """What each unit that aligns matched of a candidate."""
        mention = AlignedSide("Mention", self.explanation.read, self.picture)
        entity = AlignedSide(candidate_name(candidate), candidate.read, self.pictures.get(candidate.id))
        return [
            alignment_view(unit, candidate.units[unit], aligned, mention, entity)
            for unit, aligned in candidate.aligned.items()
        ]


def write_explanation(path: Path, page: ExplanationPage) -> None:
    """Write an explanation as one HTML file that needs nothing beside it."""
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
