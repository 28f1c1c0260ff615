"""How much an encoder has read, and in which time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from melder.features import Features
from melder.io.progress_lines import duration

__all__ = ["Throughput"]


@dataclass
class Throughput:
    """Texts and pictures of items that were encoded, and the seconds that this took, reading the pictures included.

    A text or a picture of several items counts for each of them.

    Args:
        texts: that were encoded
        pictures: the same
        seconds: that it took
    """

    texts: int = 0
    pictures: int = 0
    seconds: float = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Count the time of the block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start

    def count(self, features: Features) -> None:
        """Count items by their features."""
        self.texts += int(features.has_text.sum())
        self.pictures += int(features.has_image.sum())
        if features.further is not None:
            self.pictures += int(features.further.image_mask.sum())

    def __str__(self) -> str:
        """One line, such as "1,000 texts (50.0/s) and 400 pictures (20.0/s) encoded in 20 s"; empty for nothing."""
        counts = {"texts": self.texts, "pictures": self.pictures}
        rates = [f"{count:,} {what} ({count / self.seconds:,.1f}/s)" for what, count in counts.items() if count]
        return f"{' and '.join(rates)} encoded in {duration(self.seconds)}" if rates else ""
