"""Where the answers of mentions are among the entities that are searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from melder.records import MelderError, Mention

__all__ = ["gold_rows"]


def gold_rows(mentions: Sequence[Mention], known: Mapping[str, int]) -> list[int]:
    """The rows of the answers of mentions that all have one, given the row of each id that is there.

    Raises:
        MelderError: An answer that is not.
    """
    unknown = [mention for mention in mentions if mention.answer not in known]
    if unknown:
        first = unknown[0]
        raise MelderError(
            f"mention {first.id!r}, field 'answer': {first.answer!r} is not in the knowledge base "
            f"({len(unknown)} such mentions); evaluate against one that holds the answers"
        )
    return [known[str(mention.answer)] for mention in mentions]
