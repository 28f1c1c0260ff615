"""What an evaluation of a run measures, and against which entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melder.evaluation.predictions import CANDIDATES

__all__ = ["EvaluationOptions"]


@dataclass(frozen=True)
class EvaluationOptions:
    """What a run is evaluated against, and what is measured.

    Args:
        knowledge_base: A data set or knowledge base whose entities are linked to; None = the data set's own.
        skip_bad: Leave bad records out, where they would raise `BadData`.
        changes: Settings of the method that take the place of the run's.
        nil_threshold: The NIL probability from which on the answer is "none of these".
        candidates: A search (`melder.search.resolver`) whose agreement with the exact links is measured on some of the
            mentions.
        kept: Candidates of a link; of fewer than `NIL_TOP_K` (`melder.linking.nil_calibration`) no NIL probability is
            known.
        features: A directory that `melder features` wrote, of the mentions and the data set's entities.
        kb_features: Another, of the entities of `knowledge_base`.
        prior: As in `melder.load`.
        coherence: As there.
    """

    knowledge_base: Path | None = None
    skip_bad: bool = False
    changes: Sequence[str] = ()
    nil_threshold: float | None = None
    candidates: str | None = None
    kept: int = CANDIDATES
    features: Path | None = None
    kb_features: Path | None = None
    prior: bool = False
    coherence: bool = False
