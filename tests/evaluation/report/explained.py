"""A small explanation whose every number is known."""

from __future__ import annotations

from pathlib import Path

from evaluation.report.test_report import png
from melder.evaluation.report import ExplanationPage
from melder.linking.evidence import AlignedUnit, ExplainedCandidate, Explanation, Read

TOLD = Read(text="Guinea. Guinea won", head=6, span=(8, 14), words=((0, 6), (6, 7), (8, 14), (15, 18)), grid=(2, 2))
SAID = Read(text="Guinea, flag of stripes", head=6, words=((0, 6), (8, 12)), grid=(2, 2))
WORDS = AlignedUnit(
    modality="text", weights=((0.1, 0.2, 0.6, 0.1), (0.25, 0.5, 0.15, 0.1)), received=(0.2, 0.32, 0.4, 0.03)
)
PATCHES = AlignedUnit(
    modality="image",
    weights=((0.1, 0.1, 0.1, 0.7), (0.4, 0.2, 0.2, 0.2), (0.25,) * 4, (0.3, 0.1, 0.1, 0.5)),
    received=(0.2625, 0.1625, 0.1625, 0.4125),
)


def explanation(name: str = "Guinea") -> Explanation:
    """Two candidates, of which the second has no picture."""
    first = ExplainedCandidate(
        id="Q1",
        name=name,
        score=3.5,
        units={"text": 2.0, "image": 1.0, "lexical": 0.5},
        read=SAID,
        aligned={"text": WORDS, "image": PATCHES},
    )
    second = first.model_copy(update={"id": "Q2", "name": "Mali", "score": 1.0, "aligned": {"text": WORDS}})
    return Explanation(id="m", surface=name, read=TOLD, candidates=(first, second))


def page(tmp_path: Path, name: str = "Guinea") -> ExplanationPage:
    picture = png(tmp_path / "m.png")
    pictures = {"Q1": [png(tmp_path / "e.png")], "Q2": [None]}
    return ExplanationPage(explanation(name), (picture,), pictures, {name: name})
