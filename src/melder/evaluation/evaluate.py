"""Evaluation of a run, or of the predictions that it left: exact ranks, figures, a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, cast

from melder.data import TUNE, DataSet
from melder.data import load as load_data
from melder.evaluation.evaluation import Evaluation, assess
from melder.evaluation.evaluation_options import EvaluationOptions
from melder.evaluation.overlap import TOP, agreement_of
from melder.evaluation.predictions import CANDIDATES, read_predictions
from melder.evaluation.report import read_curves
from melder.evaluation.stored import links_of, mentions_of, ranks_of
from melder.kb import KnowledgeBase, is_knowledge_base, open_knowledge_base
from melder.kb.manifest import MODEL
from melder.linking.comparing import nil_of
from melder.linking.data_linker import with_data_evidence
from melder.linking.nil_calibration import NIL_TOP_K, Nil, nil_figures
from melder.linking.opening import open_linker
from melder.linking.resolver import Features
from melder.metrics.metrics import metrics
from melder.metrics.slices import slices
from melder.protocols import Counting, Linker
from melder.records import Item, MelderError, Mention
from melder.runs.configuration_file import read_yaml
from melder.runs.directory import read_configuration, seed_of, versions
from melder.runs.feature_cache import ENTITIES
from melder.runs.model_configuration import ModelConfiguration
from melder.runs.selection import split_mentions

__all__ = [
    "Evaluation",
    "EvaluationOptions",
    "describe",
    "evaluate",
    "evaluate_predictions",
    "evaluate_run",
    "open_both",
    "with_its_own",
]

DEFAULTS = EvaluationOptions()


def evaluate_run(
    run: Path,
    data: Path,
    split: str,
    options: EvaluationOptions = DEFAULTS,
    *,
    counting: Counting,
    on_unreadable: Callable[[Item, Exception], None] | None = None,
) -> Evaluation:
    """Evaluate a run on a split, against the data set's own entities or those of another knowledge base.

    Args:
        run: A run; or a knowledge base on disk, which means its own model and its own entities.
        data: The directory of the data set that the mentions are of.
        split: Of these mentions: train, dev or test; or tune, the part of train that the run was selected on.
        options: What is measured, and against which entities.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Is told of pictures that cannot be read; None: they raise.

    Returns:
        Figures, links and ranks.

    Raises:
        MelderError: Something cannot be read, or does not fit together.
    """
    kept, changes, candidates = options.kept, options.changes, options.candidates
    _check_kept(kept, options.nil_threshold, candidates)
    if (options.prior or options.coherence) and (candidates is not None or options.nil_threshold is not None):
        raise MelderError("prior and coherence have no NIL probabilities, and no search of their own; leave these out")
    run, knowledge_base = with_its_own(run, options.knowledge_base)
    configuration = read_configuration(run, changes)
    dataset, base = open_both(configuration, data, knowledge_base, options.skip_bad)
    mentions = split_mentions(run, dataset, split)
    stored = _stored(dataset, base, "train" if split == TUNE else split, options.features, options.kb_features)
    linker = open_linker(
        run, base, data=dataset, changes=changes, counting=counting, on_unreadable=on_unreadable, features=stored
    )
    if not linker.calibrates and options.nil_threshold is not None:
        raise MelderError(
            f"{run}: writes names, or has a second look, and has no NIL probabilities of its own to compare with the "
            "threshold; leave it out, or set rerank.top=0"
        )
    if kept < NIL_TOP_K:
        linker.nil = None
    linker = with_data_evidence(linker, run, prior=options.prior, coherence=options.coherence)
    result = evaluate(linker, mentions, kept=kept, progress=counting("linking", len(mentions)), seen=_seen(run))
    if candidates is not None:
        result.figures["agreement"] = agreement_of(linker, candidates, mentions, result.links)
    _add_nil(result, linker.nil, options.nil_threshold, run)
    return _described(result, run, configuration, split)


def _check_kept(kept: int, nil_threshold: float | None, candidates: str | None) -> None:
    """Raises MelderError for fewer candidates than what is asked for is measured by."""
    if nil_threshold is not None and kept < NIL_TOP_K:
        raise MelderError(
            f"a threshold needs NIL probabilities, and these {NIL_TOP_K} candidates; keep more than {kept}"
        )
    if candidates is not None and kept < TOP:
        raise MelderError(f"{candidates} is measured by the best {TOP} candidates; keep more than {kept}")


def evaluate(
    linker: Linker,
    mentions: Sequence[Mention],
    *,
    kept: int = CANDIDATES,
    progress: Callable[[int], None] | None = None,
    seen: Collection[str] | None = None,
) -> Evaluation:
    """Figures, links and ranks of mentions.

    Args:
        linker: Any.
        mentions: With or without answers.
        kept: Candidates of each link.
        progress: Told how many mentions were linked.
        seen: The ids of the entities that were answers in training, by which mentions are divided into slices; None =
            they are not.

    Returns:
        Figures, links and ranks.

    Raises:
        MelderError: No mention has an answer, or an answer is not in the knowledge base.
    """
    if linker.data is None:
        raise MelderError("these mentions are of no data set: make the linker with the data set that they are of")
    links, ranks = linker.links_and_ranks(mentions, kept, progress)
    result = assess(mentions, links, ranks, linker.data, linker.knowledge_base, seen)
    result.figures |= linker.figures
    for name, other in linker.ablations().items():
        result.figures[name] = _of_ranks(other, mentions, seen)
    return result


def _of_ranks(linker: Linker, mentions: Sequence[Mention], seen: Collection[str] | None) -> dict[str, Any]:
    answered = [mention for mention in mentions if mention.answer is not None]
    entities = {entity.id: entity for entity in linker.knowledge_base.entities}
    ranks = linker.ranks(answered)
    return {**metrics(ranks, len(entities)), "slices": slices(answered, entities, seen, ranks)}


def evaluate_predictions(
    run: Path, file: Path, data: Path, *, knowledge_base: Path | None = None, skip_bad: bool = False
) -> Evaluation:
    """What `evaluate_run` found when it wrote the predictions in `file`, without linking again.

    The split is the one that holds the mentions.

    Args:
        run: That made them.
        file: The predictions.
        data: The data set of the mentions.
        knowledge_base: What was searched; None = the entities of the data set.
        skip_bad: Leave bad records of the data set out rather than stop.

    Returns:
        The evaluation.

    Raises:
        MelderError: The predictions are not of this data.
    """
    run, knowledge_base = with_its_own(run, knowledge_base)
    configuration, rows = read_configuration(run), read_predictions(file)
    dataset, base = open_both(configuration, data, knowledge_base, skip_bad)
    split, mentions = mentions_of(rows, dataset, str(file))
    links = links_of(rows, mentions, {entity.id: entity for entity in base.entities}, str(file))
    result = assess(mentions, links, ranks_of(rows), dataset, base, _seen(run))
    _add_nil(result, nil_of(run, base), None, run)
    return _described(result, run, configuration, split)


def _stored(
    dataset: DataSet, base: DataSet | KnowledgeBase, split: str, features: Path | None, kb_features: Path | None
) -> list[Features]:
    """Where the features of the mentions and of the entities are; those of a knowledge base on disk lie within it."""
    sources = [] if features is None else [(dataset, split, features)]
    of_entities = features if base is dataset and kb_features is None else kb_features
    if of_entities is not None and not base.has_sides:
        sources.append((cast(DataSet, base), ENTITIES, of_entities))
    return sources


def describe(
    run: Path, configuration: ModelConfiguration, dataset: DataSet, knowledge_base: DataSet | KnowledgeBase, split: str
) -> dict[str, Any]:
    """What figures were measured on and with: method, encoder, data, configuration, seed, versions.

    Args:
        run: The run's directory.
        configuration: Of the run.
        dataset: Of the mentions.
        knowledge_base: Of the entities.
        split: In words.

    Returns:
        By the names that metrics.json has.
    """
    whole = {**read_yaml(run / "config.yaml"), "method": configuration.method.model_dump(mode="json")}
    return {
        "method": str(configuration.method.name),  # type: ignore[attr-defined]
        "encoder": configuration.encoder.name,
        "data": dataset.directory.resolve().name,
        "knowledge_base": knowledge_base.directory.resolve().name,
        "split": split,
        "configuration": whole,
        "seed": seed_of(run),
        "versions": versions(),
    }


def _add_nil(result: Evaluation, nil: Nil | None, threshold: float | None, run: Path) -> None:
    """How good the NIL probabilities are, if there are any."""
    if nil is None and threshold is not None:
        raise MelderError(
            f"{run}: has no NIL probabilities to compare with the threshold, or not with --set; calibrate it first, "
            f"with `melder calibrate {run} --data DIR`"
        )
    if nil is not None and (figures := nil_figures(nil, result.mentions, result.links, threshold)):
        result.figures["nil"] = figures


def with_its_own(run: Path, knowledge_base: Path | None) -> tuple[Path, Path | None]:
    """A run, and what is searched: a knowledge base in the place of a run is its model, and is searched if nothing else
    is named.

    Args:
        run: Of a run or a knowledge base.
        knowledge_base: What is named.

    Returns:
        Directories of a run and of what is searched; None = the entities of the data set.
    """
    return (run / MODEL, knowledge_base or run) if is_knowledge_base(run) else (run, knowledge_base)


def open_both(
    configuration: ModelConfiguration, data: Path, knowledge_base: Path | None, skip_bad: bool
) -> tuple[DataSet, DataSet | KnowledgeBase]:
    """The data set of the mentions and that of the entities, the same one where no other is named.

    Args:
        configuration: Of the run.
        data: The data set of the mentions.
        knowledge_base: What is searched; None = the same.
        skip_bad: Leave bad records out rather than stop.

    Returns:
        Opened.

    Raises:
        MelderError: One cannot be read.
    """
    text_field = configuration.data.text_field
    dataset = load_data(data, text_field=text_field, skip_bad=skip_bad)
    if knowledge_base is None:
        return dataset, dataset
    if is_knowledge_base(knowledge_base):
        return dataset, open_knowledge_base(knowledge_base)
    return dataset, load_data(knowledge_base, text_field=text_field, skip_bad=skip_bad)


def _described(result: Evaluation, run: Path, configuration: ModelConfiguration, split: str) -> Evaluation:
    dataset, base = result.dataset, result.knowledge_base
    result.figures |= describe(run, configuration, dataset, base, split)
    result.training = read_curves(run)
    result.skipped = [*dataset.skipped, *(base.skipped if base is not dataset else [])]
    return result


def _seen(run: Path) -> Collection[str] | None:
    """The answers of the run's training mentions, with how often each was, if the run says."""
    path = run / "trained_on.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        answers: Collection[str] = content.get("counts") or content["answers"]
    except (ValueError, TypeError, KeyError):
        raise MelderError(f"{path}: is damaged; remove it to evaluate without the groups of entities seen") from None
    return answers
