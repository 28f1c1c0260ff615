"""Why a linker answered what it did: a link, and what each unit matched of the mention and of each candidate.

Plain data that goes into a page (`melder.evaluation.report`) or, as JSON, to another program.
`melder.linking.explain` makes it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["AlignedUnit", "ExplainedCandidate", "Explanation", "MatchedPictures", "Read"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Read(_Part):
    """What the encoder read of a mention or of an entity.

    All offsets count code points of `text`.

    Attributes:
        text: The surface or the name, a separator, and the context or the description.
        head: How many of its first characters are the surface or the name.
        span: The mention stands in the context, [start, end); null for an entity, or when it does not occur there.
        words: [start, end) of each word that was read, in order; those behind the last were cut off.
        grid: Rows and columns of the patches of the picture; null without a picture, or when its tokens are no grid.
    """

    text: str
    head: int
    span: tuple[int, int] | None = None
    words: tuple[tuple[int, int], ...] = ()
    grid: tuple[int, int] | None = None


class AlignedUnit(_Part):
    """Which words, or patches row by row, of an entity matched which of a mention.

    Attributes:
        weights: [of the entity][of the mention], rounded to four decimals. Of several tokens in a word the entity's are
            averaged and the mention's added up, so that a row would sum to 1, were it not for what falls on tokens that
            are shown nowhere (a tokenizer's marks, a class token).
        received: [of the mention], the mean over all tokens of the entity: what each has in the unit's score.
    """

    modality: Literal["text", "image"]
    weights: tuple[tuple[float, ...], ...]
    received: tuple[float, ...]


class MatchedPictures(_Part):
    """The two pictures that a unit scores highest together, of those of a mention and of an entity, counted from 0."""

    mention: int = 0
    entity: int = 0


class ExplainedCandidate(_Part):
    """An entity offered as the answer: what each unit adds to its score, and what the units that align matched.

    Attributes:
        seen: In words, how often it was meant by mentions that were learned; null for an entity without such.
        pictures: What each unit that reads pictures matched best, where either side has several; what it aligned is of
            these.
    """

    id: str
    name: str
    score: float
    units: dict[str, float]
    read: Read
    aligned: dict[str, AlignedUnit]
    seen: str | None = None
    pictures: dict[str, MatchedPictures] = {}


class Explanation(_Part):
    """A link of a mention with its best candidates, best first."""

    id: str
    surface: str
    read: Read
    candidates: tuple[ExplainedCandidate, ...]
