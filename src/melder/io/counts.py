"""How many of something there are, as people say it: 1 mention, 1,201 mentions."""

from __future__ import annotations

import re

__all__ = ["how_many", "in_number"]

_CHOICE = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")


def how_many(count: int, noun: str) -> str:
    """A number with its noun.

    Args:
        count: how many
        noun: in the singular, such as `entity`

    Returns:
        such as "1 entity" or "2,000 entities"
    """
    return f"{count:,} {noun if count == 1 else _plural(noun)}"


def in_number(sentence: str, count: int) -> str:
    """A sentence about so many things.

    Args:
        sentence: with `{}` in the place of the number, and `[is|are]` where the words differ
        count: how many

    Returns:
        the sentence in the singular or the plural
    """
    return _CHOICE.sub(lambda choice: choice[1] if count == 1 else choice[2], sentence).replace("{}", f"{count:,}")


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
