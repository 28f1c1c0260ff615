"""The linker of a run of GEMEL, with the run of a matching method beside it where the configuration names one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from melder.linking.generative import NAMES, GenerativeLinker
from melder.linking.homonyms import Homonyms
from melder.linking.linker import MatchingLinker
from melder.linking.names_stage import NamesStage
from melder.linking.rerank import RerankingLinker
from melder.linking.resolver import Opening, linker_of
from melder.methods import method_of
from melder.protocols import Linker
from melder.records import MelderError
from melder.runs.directory import read_configuration, run_device
from melder.runs.gemel import open_gemel

__all__ = ["open_generative_linker"]


def open_generative_linker(opening: Opening) -> Linker:
    """The linker that writes names or, with `method.matching.top`, orders the candidates of the run beside it.

    Args:
        opening: Of a run whose method writes names.

    Returns:
        The linker.
    """
    gemel = open_gemel(opening.run, opening.configuration).to(run_device(opening.device))
    gemel.encoder.on_unreadable = opening.on_unreadable
    options, knowledge_base = gemel.options.matching, opening.knowledge_base
    matching = _matching(opening, options.run) if options.run is not None else None
    homonyms = Homonyms(gemel.model, knowledge_base.entities, matching)
    modalities, kept = opening.configuration.data.modalities, opening.run / NAMES
    linker = GenerativeLinker(
        gemel, knowledge_base, data=opening.data, modalities=modalities, homonyms=homonyms, kept=kept
    )
    if matching is None or not options.top:
        return linker
    stage = NamesStage(linker)
    return RerankingLinker(matching, stage, top=options.top, weight=options.weight, name="matching")


def _matching(opening: Opening, run: Path) -> MatchingLinker:
    configuration = read_configuration(run)
    if not method_of(configuration.method).compares:
        raise MelderError(f"method.matching.run: {run} is of a method that writes names; name one that compares")
    named = replace(opening, run=run, configuration=configuration, changes=(), features=())
    return cast(MatchingLinker, linker_of(configuration.method)(named))
