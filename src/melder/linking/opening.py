"""The linker of a run over entities that are open already, with its second look or without, and with a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from melder.data import DataSet
from melder.io.addresses import without_password
from melder.kb import KnowledgeBase
from melder.linking.linker import MatchingLinker
from melder.linking.resolver import Features, OnUnreadable, Opening, linker_of
from melder.linking.second_look import open_second_look
from melder.protocols import Counting, Linker
from melder.records import MelderError
from melder.runs.directory import read_configuration
from melder.runs.rerank_configuration import method_changes
from melder.search.resolver import find_kind
from melder.search.stored import find_search

__all__ = ["open_linker", "searching"]


def searching(linker: Linker, candidates: str | None, counting: Counting | None = None) -> Linker:
    """The linker, whose links come from the search of this name; None = from scores of all entities.

    A search that the knowledge base keeps prepared is opened; any other is made now.

    Args:
        linker: That is given the search.
        candidates: Its name.
        counting: Starts a progress bar with a title and a total.

    Returns:
        The same linker.

    Raises:
        MelderError: There is no such search, or a method that writes names has none.
    """
    if candidates is None:
        return linker
    if not linker.has_candidates:
        shown = without_password(candidates)
        raise MelderError(f"--candidates {shown}: a method that writes names has no candidates; leave it out")
    find_kind(candidates)
    matching = cast(MatchingLinker, linker)
    if len(matching.source):  # of no entities nothing can be made, and none need be scored
        matching.search = find_search(candidates, matching.model.matcher, matching.source, counting)
    return linker


def open_linker(
    run: Path,
    knowledge_base: DataSet | KnowledgeBase,
    *,
    data: DataSet | None = None,
    changes: Sequence[str] = (),
    counting: Counting | None = None,
    on_unreadable: OnUnreadable = None,
    features: Sequence[Features] = (),
    device: str | None = None,
) -> Linker:
    """The linker of a run's method.

    Args:
        run: A finished one; its second look, or that for which `changes` ask, is over the linker (`FIRST_STAGE` among
            `changes`: none is).
        knowledge_base: The entities; a knowledge base must have been built with this run, unless the method writes
            names.
        data: The data set that mentions are of; None = that of the entities.
        changes: Settings of the method that take the place of the run's.
        counting: Starts a progress bar with a title and a total.
        on_unreadable: Is told of pictures that cannot be read; None: they raise.
        features: What need not be encoded; a method that writes names reads none.
        device: As PyTorch calls it; None = a GPU where there is one.

    Returns:
        The linker.

    Raises:
        MelderError: The run cannot be read, or does not fit the entities.
    """
    look = open_second_look(run, changes, device)
    configuration, changes = read_configuration(run, changes), tuple(method_changes(changes))
    opening = Opening(run, configuration, knowledge_base, data, changes, counting, on_unreadable, features, device)
    first = linker_of(configuration.method)(opening)
    return first if look is None else look.over(first)
