"""How long a name may be: as it is written, and as it is compared, which is up to eighteen times as long (`ﷺ`)."""

from __future__ import annotations

from melder.names import folded

__all__ = ["is_longer"]


def is_longer(name: str, most: int) -> bool:
    """Whether a name has more characters than `most`, as it is written or as names are compared."""
    return len(name) > most or len(folded(name)) > most
