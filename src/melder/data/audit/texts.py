"""When two texts count as the same but for their writing."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

__all__ = ["bare", "words"]

_WORD = re.compile(r"[^\W_]+")


class _Silent(dict[int, int | None]):
    """Code points that are dropped map to None: punctuation, white space and control characters."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] in "PZC" else code
        return self[code]


_SILENT = _Silent()


@lru_cache(maxsize=2**18)  # every check asks for the same names and texts
def bare(text: str) -> str:
    """The text without case, white space, punctuation and compatibility forms: "U.S. Army" and "US army" are one.

    A text of punctuation alone ("?!") stays as it is. Marks and symbols stay: they make another word ("C++").

    Args:
        text: Any.

    Returns:
        What is compared.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return plain.translate(_SILENT) or plain.strip()


def words(name: str) -> str:
    """The words of an id or a path, one space around each.

    Args:
        name: Such as mention-Q23_0.jpg.

    Returns:
        Such as " mention q23 0 jpg ".
    """
    return f" {' '.join(_WORD.findall(unquote(name).casefold()))} "
