"""What a check says: which rows it found, how bad that is, and what a clean data set does about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["ENTITIES", "Finding", "LeftOut", "Severity"]

ENTITIES = "entities"  # beside the splits, the part of a data set that rows are counted in

# leak: the answer can be had without linking; a clean data set does not have it.
# warning: probably a mistake in the data, or something that makes scores mean less.
# fact: what one must know to read a score.
Severity = Literal["leak", "warning", "fact"]


class LeftOut(BaseModel):
    """What a clean data set lacks, one line of `left-out.jsonl`.

    With `picture`, that picture of the entity; with `new_id`, the id, which is replaced (in a finding: by any other,
    ""); else the whole row.
    """

    model_config = ConfigDict(frozen=True)

    part: str  # a split, or "entities"
    id: str
    picture: str | None = None
    new_id: str | None = None
    reason: str


@dataclass(frozen=True)
class Finding:
    """The rows of which something is true.

    Args:
        kind: A name for it.
        severity: Whether it is a leak, or a fact.
        says: What is true.
        rows: Their ids, by split or "entities".
        of: How many were looked at, by the same.
        example: One of them, in words.
        groups: How much is shared where rows share something (captions, pictures, names), else None.
        remedies: What a clean data set leaves out.
    """

    kind: str
    severity: Severity
    says: str
    rows: Mapping[str, Sequence[str]]
    of: Mapping[str, int]
    example: str = ""
    groups: int | None = None
    remedies: tuple[LeftOut, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Rows found, by split or "entities"; 0 where rows were looked at in vain."""
        return {section: len(self.rows.get(section, ())) for section in self.of}

    @property
    def found(self) -> bool:
        return any(self.counts.values())
