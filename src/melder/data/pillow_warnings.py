"""Pillow's warnings, kept quiet while threads read pictures."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["silenced"]


class _Silence:
    """How many threads want no warnings of Pillow now; the first one sets the filters, the last one puts them back."""

    def __init__(self) -> None:
        self._lock, self._threads = threading.Lock(), 0
        self._filters = warnings.catch_warnings()

    def begin(self) -> None:
        with self._lock:
            self._threads += 1
            if self._threads == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def end(self) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                self._filters.__exit__(None, None, None)


_silence = _Silence()


@contextmanager
def silenced() -> Iterator[None]:
    """No warnings of Pillow's: of sizes, which the limits govern, and of broken EXIF, which is passed over.

    The filters of warnings belong to the process, not to a thread: whoever lets several threads read pictures enters
    this before they begin and leaves it when they have ended.

    Yields:
        Nothing.
    """
    _silence.begin()
    try:
        yield
    finally:
        _silence.end()
