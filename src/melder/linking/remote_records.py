"""Records of entities that the services of shards hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from melder.linking.shard_service import ShardService
from melder.records import Entity

__all__ = ["answers_of", "picture_of", "record_of", "starting"]


def answers_of(shards: Sequence[ShardService], path: str, **parameters: Any) -> list[Any]:
    """What each shard that is there has at a path, in their order; those without anything are left out.

    A shard that gives no answer in time is lost: it counts as away until it is back.

    Args:
        shards: The services of the set.
        path: Of the service, beginning with a slash, its names already quoted.
        parameters: Of the query.

    Returns:
        What their JSON holds, or the bytes of a picture.
    """
    asked = [(shard, shard.get(path, **parameters)) for shard in shards if shard.is_there()]
    answers = [shard.answer_in(shard.seconds, answer) for shard, answer in asked]
    return [answer for answer in answers if answer is not None]


def record_of(shards: Sequence[ShardService], identity: str) -> Entity | None:
    """The record of an entity, of the first shard that has it.

    Args:
        shards: The services of the set.
        identity: The entity's id.

    Returns:
        The record, with the address of its picture where the shard has one; None where no shard that answers has it.
    """
    answers = answers_of(shards, f"/entities/{quote(identity, safe='')}")
    return next((_record(answer) for answer in answers), None)


def _record(answer: Mapping[str, Any]) -> Entity:
    """Of a shard's answer, which names no picture but says whether there is one; that it is the address of it."""
    fields = {name: answer[name] for name in Entity.model_fields if name in answer}
    images = (f"/entities/{quote(answer['id'], safe='')}/picture",) if answer.get("picture") else ()
    return Entity(**{**fields, "images": images})


def starting(shards: Sequence[ShardService], prefix: str, limit: int) -> list[Entity]:
    """Entities with a name in which a word starts so, in turn from each shard; without aliases.

    Args:
        shards: The services of the set.
        prefix: How the word starts.
        limit: Entities at most.

    Returns:
        The first of every shard, then the second of every shard, and so on.
    """
    lists = [each["result"] for each in answers_of(shards, "/reconcile/suggest/entity", prefix=prefix)]
    longest = max(map(len, lists), default=0)
    rows = [each[place] for place in range(longest) for each in lists if place < len(each)]
    return [
        Entity(
            id=row["id"],
            name=row["name"],
            description=row["description"],
            types=tuple(kind["id"] for kind in row["notable"]),
        )
        for row in rows[:limit]
    ]


def picture_of(shards: Sequence[ShardService], identity: str) -> bytes | None:
    """The picture of an entity, made small.

    Args:
        shards: The services of the set.
        identity: The entity's id.

    Returns:
        The bytes of an image file, of the first shard that has one; None where no shard that answers has one.
    """
    return next(iter(answers_of(shards, f"/entities/{quote(identity, safe='')}/picture")), None)
