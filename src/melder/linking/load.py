"""`melder.load`: a linker from a knowledge base, or from a run and the data it is to search; the run's method says
which linker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from melder.data import DataSet
from melder.data import load as load_data
from melder.encoders import PictureMemory
from melder.kb import KnowledgeBase, is_knowledge_base, open_knowledge_base
from melder.linking.exact import ExactLinker
from melder.linking.generative import NAMES, GenerativeLinker
from melder.linking.generative_rerank import RerankingLinker
from melder.linking.homonyms import Homonyms
from melder.linking.nil import Nil, read_nil
from melder.methods.gemel import GEMELConfiguration
from melder.protocols import Counting
from melder.records import Item, MelderError
from melder.runs.configuration import ModelConfiguration
from melder.runs.directory import open_run, read_configuration, run_device, seed_of
from melder.runs.feature_cache import StoredFeatures, stored_features
from melder.runs.gemel import open_gemel
from melder.runs.model import Model
from melder.search.resolver import find_kind
from melder.search.stored import find_search

__all__ = ["RunLinker", "load", "nil_of", "open_linker", "searching"]

RunLinker = ExactLinker | GenerativeLinker | RerankingLinker
OnUnreadable = Callable[[Item, Exception], None] | None
Stored = tuple[DataSet, str, Path]  # a data set, one of its parts, and where the features of that are


def load(
    path: str | Path,
    data: str | Path | None = None,
    *,
    changes: Sequence[str] = (),
    candidates: str | None = None,
    counting: Counting | None = None,
) -> RunLinker:
    """Open a knowledge base; or open a run and encode the entities of the data set `data`, to link mentions to them.

    `data` may be a knowledge base too: one that was built with the run or, for a run of a method that writes names,
    any.
    `changes` are settings of the method that take the place of the run's, such as "method.assignment=attention".
    `candidates` names a search that finds links without scoring every entity (`melder.search.resolver`; None = score
    all). `counting` starts a progress bar, given a title and a total; what it returns is told how much more is done.
    Raises `MelderError` when the knowledge base, the run or the data set cannot be read.
    """
    run = Path(path)
    if is_knowledge_base(run):
        if data is not None:
            raise MelderError(f"{run}: is a knowledge base, which holds what is searched; leave the data set out")
        base = open_knowledge_base(run)
        return _over(base, base.model, changes, candidates, counting)
    if not run.is_dir():
        raise MelderError(f"{run}: there is no such directory; name a knowledge base, or a run and its data set")
    if data is None:
        raise MelderError(
            f"{run}: name the data set to search as well: melder.load({str(run)!r}, data=DIRECTORY), or --data"
        )
    if is_knowledge_base(Path(data)):
        return _over(open_knowledge_base(Path(data)), run, changes, candidates, counting)
    settings = read_configuration(run, changes).data
    dataset = load_data(Path(data), text_field=settings.text_field)
    return searching(open_linker(run, dataset, changes=changes, counting=counting), candidates, counting)


def _over(
    base: KnowledgeBase, run: Path, changes: Sequence[str], candidates: str | None, counting: Counting | None
) -> RunLinker:
    """The linker of a run over a knowledge base, which is given up when that fails."""
    try:
        return searching(open_linker(run, base, changes=changes, counting=counting), candidates, counting)
    except BaseException:
        base.close()
        raise


def searching(linker: RunLinker, candidates: str | None, counting: Counting | None = None) -> RunLinker:
    """The linker, whose links come from the search of this name; None = from scores of all entities.

    A search that the knowledge base keeps prepared is opened; any other is made now.
    """
    if candidates is None:
        return linker
    if not isinstance(linker, ExactLinker):
        raise MelderError(f"--candidates {candidates}: a method that writes names has no candidates; leave it out")
    find_kind(candidates)
    if len(linker.source):  # of no entities nothing can be made, and none need be scored
        linker.search = find_search(candidates, linker.model.matcher, linker.source, counting)
    return linker


def open_linker(
    run: Path,
    knowledge_base: DataSet | KnowledgeBase,
    *,
    data: DataSet | None = None,
    changes: Sequence[str] = (),
    counting: Counting | None = None,
    on_unreadable: OnUnreadable = None,
    features: Sequence[Stored] = (),
) -> RunLinker:
    """The linker of a run's method over the entities of `knowledge_base`, for mentions of `data` (default: the same).

    A knowledge base must have been built with this run, unless the method writes names. Unreadable pictures raise
    unless `on_unreadable` is to be told of them. What `features` hold is not encoded; a method that writes names reads
    none.
    """
    configuration = read_configuration(run, changes)
    if isinstance(configuration.method, GEMELConfiguration):
        return _generative(run, configuration, knowledge_base, data, counting, on_unreadable)
    if isinstance(knowledge_base, KnowledgeBase):
        knowledge_base.check_model(run)
    model, _ = open_run(run, changes)
    model.encoder.on_unreadable = on_unreadable
    if features:
        model.stored = _stored(run, configuration, model, features)
    progress = counting("encoding entities", len(knowledge_base.entities)) if counting else None
    modalities = configuration.data.modalities
    nil = None if changes else nil_of(run, knowledge_base)  # other settings, other scores
    linker = ExactLinker(model, knowledge_base, data=data, modalities=modalities, progress=progress, nil=nil)
    model.memory = PictureMemory()  # from here on nothing changes the weights
    return linker


def _stored(run: Path, configuration: ModelConfiguration, model: Model, features: Sequence[Stored]) -> StoredFeatures:
    if configuration.encoder.trained:
        raise MelderError(f"{run}: has trained its encoder, so that features stored before are others; leave them out")
    known = StoredFeatures(padded=configuration.published)
    seed = seed_of(run)
    for dataset, part, where in features:
        known.add(*stored_features(configuration, seed, dataset, model.encoder, part, where))
    return known


def nil_of(run: Path, knowledge_base: DataSet | KnowledgeBase) -> Nil | None:
    """The calibration of the knowledge base itself, else of the run."""
    own = read_nil(knowledge_base.directory) if isinstance(knowledge_base, KnowledgeBase) else None
    return own or read_nil(run)


def _generative(
    run: Path,
    configuration: ModelConfiguration,
    knowledge_base: DataSet | KnowledgeBase,
    data: DataSet | None,
    counting: Counting | None,
    on_unreadable: OnUnreadable,
) -> GenerativeLinker | RerankingLinker:
    """GEMEL, with the run of a matching method beside it where the configuration names one."""
    gemel = open_gemel(run, configuration).to(run_device())
    gemel.encoder.on_unreadable = on_unreadable
    options, modalities = gemel.options.matching, configuration.data.modalities
    matching: ExactLinker | None = None
    if options.run is not None:
        named = open_linker(options.run, knowledge_base, data=data, counting=counting, on_unreadable=on_unreadable)
        if not isinstance(named, ExactLinker):
            raise MelderError(
                f"method.matching.run: {options.run} is of a method that writes names; name one that compares"
            )
        matching = named
    homonyms = Homonyms(gemel.model, knowledge_base.entities, matching)
    linker = GenerativeLinker(
        gemel, knowledge_base, data=data, modalities=modalities, homonyms=homonyms, kept=run / NAMES
    )
    if matching is None or not options.top:
        return linker
    return RerankingLinker(matching, linker, top=options.top, weight=options.weight)
