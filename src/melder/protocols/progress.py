"""How work that takes long tells of itself, and what it is computed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

__all__ = ["Counting", "Precision", "Progress"]

Progress = Callable[[int], None]  # told how many more items are done
Counting = Callable[[str, int], Progress]  # starts a progress bar, given a title and a total
Precision = Literal["float32", "bf16"]  # what something is computed in; weights and results stay in float32
