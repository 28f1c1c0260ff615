"""All the sides of a knowledge base, some megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from melder.features import Side, concatenate
from melder.kb.format.packing import bytes_restored
from melder.kb.segment_reader import SegmentReader

__all__ = ["side_blocks"]

BLOCK_BYTES = 32 << 20  # of sides in float32 that are held at once: much beside a cache, little beside a model


def side_blocks(parts: Sequence[SegmentReader]) -> Iterator[tuple[int, Side]]:
    """The sides of all rows that live, in float32.

    Args:
        parts: The segments, one after the other.

    Yields:
        A block's first row, and the sides of it and those after it. A block takes about `BLOCK_BYTES`; small
        segments share one.
    """
    first, gathered, size = 0, list[Side](), 0
    for side, cost in _pieces(parts):
        if gathered and size + cost > BLOCK_BYTES:
            yield first, _together(gathered)
            first, gathered, size = first + sum(piece.rows for piece in gathered), [], 0
        gathered.append(side)
        size += cost
    if gathered:
        yield first, _together(gathered)


def _pieces(parts: Sequence[SegmentReader]) -> Iterator[tuple[Side, int]]:
    for reader in parts:
        pending = [(0, len(reader))]
        while pending:
            start, stop = pending.pop()
            rows = reader.rows(start, stop)
            around = rows if isinstance(rows, slice) else slice(int(rows[0]), int(rows[-1]) + 1)
            cost = bytes_restored(reader.segment.sides, around)
            if cost > BLOCK_BYTES and stop - start > 1:
                middle = (start + stop) // 2
                pending += [(middle, stop), (start, middle)]
            else:
                yield reader.segment.side(rows), cost


def _together(sides: Sequence[Side]) -> Side:
    return sides[0] if len(sides) == 1 else concatenate(sides)
