"""The exact linker of a run: its model over the entities of a data set, or the sides that a knowledge base keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from melder.data import DataSet
from melder.encoders import PictureMemory
from melder.kb import KnowledgeBase
from melder.linking.exact import ExactLinker
from melder.linking.nil_calibration import Nil, read_nil
from melder.linking.resolver import Features, Opening
from melder.records import MelderError
from melder.runs.directory import open_run, seed_of
from melder.runs.feature_cache import StoredFeatures, stored_features
from melder.runs.model import Model
from melder.runs.model_configuration import ModelConfiguration

__all__ = ["nil_of", "open_exact_linker"]


def open_exact_linker(opening: Opening) -> ExactLinker:
    """The linker; a knowledge base must have been built with the run.

    Args:
        opening: Of a run whose method compares sides.

    Returns:
        The linker.
    """
    run, configuration, knowledge_base = opening.run, opening.configuration, opening.knowledge_base
    if knowledge_base.has_sides:
        cast(KnowledgeBase, knowledge_base).check_model(run)
    model, _ = open_run(run, opening.changes, opening.device)
    model.encoder.on_unreadable = opening.on_unreadable
    if opening.features:
        model.stored = _stored(run, configuration, model, opening.features)
    count = opening.counting
    linker = ExactLinker(
        model,
        knowledge_base,
        data=opening.data,
        modalities=configuration.data.modalities,
        progress=count("encoding entities", len(knowledge_base.entities)) if count else None,
        nil=None if opening.changes else nil_of(run, knowledge_base),  # other settings, other scores
    )
    model.memory = PictureMemory()  # from here on nothing changes the weights
    return linker


def nil_of(run: Path, knowledge_base: DataSet | KnowledgeBase) -> Nil | None:
    """The calibration of the knowledge base itself, else of the run.

    Args:
        run: Whose calibration serves where the entities have none.
        knowledge_base: The entities.

    Returns:
        The calibration; None where there is none.
    """
    own = read_nil(knowledge_base.directory) if knowledge_base.has_sides else None
    return own or read_nil(run)


def _stored(run: Path, configuration: ModelConfiguration, model: Model, features: Sequence[Features]) -> StoredFeatures:
    if configuration.encoder.trained:
        raise MelderError(f"{run}: has trained its encoder, so that features stored before are others; leave them out")
    known = StoredFeatures(padded=configuration.published)
    seed = seed_of(run)
    for dataset, part, where in features:
        known.add(*stored_features(configuration, seed, dataset, model.encoder, part, where))
    return known
