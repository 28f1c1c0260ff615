"""How often a search answers as exact scoring does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from melder.linking.linker import MatchingLinker
from melder.protocols import Linker
from melder.records import Link, MelderError, Mention
from melder.search.stored import find_search

__all__ = ["TOP", "agreement_of", "overlap_at_k"]

SAMPLE = 200  # mentions: enough to tell 99 % from 97 %
TOP = 10


def agreement_of(linker: Linker, candidates: str, mentions: Sequence[Mention], exact: Sequence[Link]) -> dict[str, Any]:
    """How far the links of a search agree with exact ones, on evenly spaced mentions.

    Args:
        linker: Of the knowledge base.
        candidates: The name of the search.
        mentions: Linked exactly.
        exact: Their links.

    Returns:
        `top_1`, `top_10`, and `scored`, the share of the pairs that the full matcher scored.

    Raises:
        MelderError: A linker of names.
    """
    if not linker.has_candidates:
        raise MelderError(f"--candidates {candidates}: a method that writes names has no candidates; leave it out")
    matching = cast(MatchingLinker, linker)
    search = find_search(candidates, matching.model.matcher, matching.source)
    rows = range(0, len(mentions), max(1, len(mentions) // SAMPLE))
    matching.search, before = search, matching.search
    try:
        links = linker.link([mentions[row] for row in rows], TOP)
    finally:
        matching.search = before
    assert isinstance(links, list)
    shares = overlap_at_k([exact[row] for row in rows], links)
    pairs = max(1, len(rows) * len(matching.source))
    return {"candidates": candidates, "mentions": len(rows), **shares, "scored": search.scored / pairs}


def overlap_at_k(exact: Sequence[Link], found: Sequence[Link], sizes: Sequence[int] = (1, 10)) -> dict[str, float]:
    """`top_1`, `top_10`: the mean share of the best so many of `exact` that are among the best so many of `found`.

    Entities of `found` with the score of the last of them, or a better one, count as among the best: of entities that
    tie, either stands for the other. There must be a mention.

    Args:
        exact: At least one.
        found: Of the same mentions, in the same order.
        sizes: How many of the best.

    Returns:
        By name, from 0 to 1.
    """
    pairs = list(zip(exact, found, strict=True))
    return {f"top_{size}": sum(_share(*pair, size) for pair in pairs) / len(pairs) for size in sizes}


def _share(exact: Link, found: Link, size: int) -> float:
    wanted = exact.candidates[:size]
    if not wanted:
        return 1.0
    least = wanted[-1].score - 1e-4 * (1 + abs(wanted[-1].score))
    reached = [candidate for candidate in found.candidates[:size] if candidate.score >= least]
    return min(1.0, len(reached) / len(wanted))
