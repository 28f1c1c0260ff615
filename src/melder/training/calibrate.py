"""NIL probabilities for a run that is there already, or for a knowledge base on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from melder.data import TUNE, DataSet
from melder.evaluation.evaluate import open_both, with_its_own
from melder.kb import is_knowledge_base
from melder.linking.data_evidence import TOP, DataEvidence, surface_counts
from melder.linking.data_linker import fit_on_links
from melder.linking.linker import MatchingLinker
from melder.linking.nil_calibration import NIL_TOP_K, Nil, fit_nil, of_link
from melder.linking.opening import open_linker
from melder.protocols import Counting
from melder.records import MelderError
from melder.runs.directory import read_configuration
from melder.runs.rerank_configuration import FIRST_STAGE
from melder.runs.selection import selection_of
from melder.training.prepare import OnUnreadable
from melder.training.split import Split

__all__ = ["CalibrationOptions", "calibrate"]


@dataclass(frozen=True)
class CalibrationOptions:
    """What is fitted, and on which mentions.

    Args:
        split: Of the data set; "tune" is the part of train that the run was selected on.
        knowledge_base: What is searched; None = the entities of the data set, or of the knowledge base itself.
        share: Of the mentions to come, those expected to be NIL.
        prior: Fit prior and coherence as well, and write them beside it: surfaces are counted in train, less what the
            mentions of "tune" are.
        skip_bad: Leave bad records out, where they would raise `BadData`.
    """

    split: str = TUNE
    knowledge_base: Path | None = None
    share: float = 0.5
    prior: bool = False
    skip_bad: bool = False


DEFAULTS = CalibrationOptions()


def calibrate(
    path: Path,
    data: Path,
    options: CalibrationOptions = DEFAULTS,
    *,
    counting: Counting,
    on_unreadable: OnUnreadable = None,
) -> Nil:
    """Fit NIL probabilities on the mentions of a split that have an answer, and write them into the run `path`, or into
    the knowledge base `path`.

    Args:
        path: Of a run or a knowledge base.
        data: The data set of the mentions.
        options: What is fitted, on which mentions.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Told of pictures that cannot be read, which then count as missing; None = they are an error.

    Returns:
        What was fitted.

    Raises:
        MelderError: Something cannot be read, or does not fit together, or nothing can be fitted.
    """
    run, base_path = with_its_own(path, options.knowledge_base)
    configuration = read_configuration(run)
    dataset, base = open_both(configuration, data, base_path, options.skip_bad)
    parts = _parts(run, dataset, options.split)
    mentions = [mention for mention in parts.selection if mention.answer is not None]
    linker = open_linker(run, base, data=dataset, changes=[FIRST_STAGE], counting=counting, on_unreadable=on_unreadable)
    if not linker.calibrates:
        raise MelderError(f"{run}: writes names, and has no scores to calibrate; name a run of a method that compares")
    kept = TOP if options.prior else NIL_TOP_K + 1
    links, _ = linker.links_and_ranks(mentions, kept, counting("linking", len(mentions)))
    nil = fit_nil(
        [of_link(link) for link in links],
        [mention.answer for mention in mentions],
        [mention.image is not None and "image" in configuration.data.modalities for mention in mentions],
        candidates=len(base.entities),
        data=dataset.directory.resolve().name,
        split=options.split,
        share=options.share,
    )
    if nil is None:
        raise MelderError(
            f"{data}, split {options.split!r}: needs a mention with an answer, and two entities; name another"
        )
    where = path if is_knowledge_base(path) else run
    nil.write(where)
    if options.prior:
        evidence = DataEvidence.of_counts(surface_counts(parts.train), data=nil.data, split=options.split)
        fit_on_links(cast(MatchingLinker, linker), mentions, links, evidence).write(where)
    return nil


def _parts(run: Path, dataset: DataSet, split: str) -> Split:
    """The mentions that are linked, and those of train that are none of them."""
    if split != TUNE:
        return Split([] if split == "train" else dataset.split("train"), dataset.split(split), split)
    return Split(*selection_of(run, dataset))
