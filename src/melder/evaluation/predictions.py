"""Predictions, mention by mention, as JSON Lines: what two runs are compared on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from melder.data.own import as_written, parse_lines
from melder.io.atomic import replacing
from melder.io.problems import Problems, read_bytes
from melder.records import Link, Mention, Ranks

__all__ = ["CANDIDATES", "Prediction", "Scored", "predictions", "read_predictions", "write_predictions"]

Part = Annotated[float, Field(allow_inf_nan=False)]
CANDIDATES = 20  # kept for each mention: as far as the longest hits@k looks


class Scored(BaseModel):
    """A candidate's id and score, and, where the linker tells, what each unit adds to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    score: float = Field(allow_inf_nan=False)
    units: dict[str, Part] = {}


class Prediction(BaseModel):
    """What was answered for one mention, best candidate first, and where the gold entity ranks.

    `gold` and both ranks are null together: the mention is NIL. `nil_probability` is null until calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    gold: str | None
    rank_optimistic: int | None = Field(ge=1)
    rank_pessimistic: int | None = Field(ge=1)
    nil_probability: float | None = Field(ge=0, le=1)
    candidates: tuple[Scored, ...] = Field(max_length=CANDIDATES)

    @field_validator("rank_optimistic", "rank_pessimistic")
    @classmethod
    def _ranked_with_a_gold_entity(cls, rank: int | None, info: ValidationInfo) -> int | None:
        if "gold" in info.data and (rank is None) != (info.data["gold"] is None):
            raise ValueError("gold and both ranks must all be given, or all be null (NIL)")
        return rank

    @field_validator("rank_pessimistic")
    @classmethod
    def _pessimistic_is_not_better(cls, rank: int | None, info: ValidationInfo) -> int | None:
        optimistic = info.data.get("rank_optimistic")
        if rank is not None and optimistic is not None and rank < optimistic:
            raise ValueError(f"{rank} is better than rank_optimistic, {optimistic}")
        return rank


def predictions(mentions: Sequence[Mention], links: Sequence[Link], ranks: Ranks) -> list[Prediction]:
    """What a linker said of mentions, as it is written to a file.

    Args:
        mentions: With or without answers.
        links: Of these, in their order.
        ranks: Of the answers of those that have one.

    Returns:
        One a mention.
    """
    ranked = iter(zip(ranks.optimistic.tolist(), ranks.pessimistic.tolist(), strict=True))
    pairs = zip(mentions, links, strict=True)
    return [_prediction(m, link, (None, None) if m.answer is None else next(ranked)) for m, link in pairs]


def _prediction(mention: Mention, link: Link, ranks: tuple[int | None, int | None]) -> Prediction:
    return Prediction(
        id=mention.id,
        gold=mention.answer,
        rank_optimistic=ranks[0],
        rank_pessimistic=ranks[1],
        nil_probability=link.nil_probability,
        candidates=tuple(Scored(id=c.id, score=c.score, units=c.units) for c in link.candidates[:CANDIDATES]),
    )


def write_predictions(path: Path, rows: Iterable[Prediction]) -> None:
    """Write one prediction a line, UTF-8; units are left out where there are none.

    Args:
        path: Of the file, which is there as a whole or not at all.
        rows: In the order of the mentions.
    """
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(row.model_dump_json(exclude_defaults=True) + "\n" for row in rows)


def read_predictions(path: Path) -> list[Prediction]:
    """Read a file that `write_predictions` wrote; blank lines are passed over.

    Args:
        path: Of the file.

    Returns:
        In the order of the file.

    Raises:
        MelderError: It cannot be read, BadData naming each line that is no prediction or repeats an id.
    """
    problems, by_id = Problems(), dict[str, Prediction]()
    for number, row in parse_lines(read_bytes(path).split(b"\n"), str(path), Prediction, problems, complete=as_written):
        if row.id in by_id:
            problems.add(path, number, [("id", f"{row.id!r} stands on an earlier line too; keep one of them")])
        by_id.setdefault(row.id, row)
    if problems.records:
        raise problems.error()
    return list(by_id.values())
