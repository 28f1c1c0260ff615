"""Memory that was freed and is still the process's: a service that runs for weeks gives it back."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["give_back"]


def give_back() -> None:
    """Freed pages go back to the system, as far as the C library knows how (glibc does); takes some milliseconds.

    Left to itself it keeps what lies between blocks still in use: batches of ever other sizes leave ever other gaps.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], Any] | None:
    try:
        return ctypes.CDLL(None).malloc_trim  # type: ignore[no-any-return]
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return None
