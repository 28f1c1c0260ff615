"""Sides on their way to the device that scores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from melder.features import Side

__all__ = ["moved", "streamed"]

SHARE = 8  # of the device's free memory that one block may take: two are there at a time, beside what is computed


def streamed(blocks: Iterable[tuple[int, Side]], device: torch.device) -> Iterator[tuple[int, Side]]:
    """Blocks of entity sides on a device, each with its first row; the next is copied while one is scored.

    Args:
        blocks: In the order of the rows. A block too large for the device's free memory is cut.
        device: On a CPU, or where the sides are already, they pass as they are.

    Yields:
        The first row, and the side.
    """
    waiting: tuple[int, Side] | None = None
    for first, side in blocks:
        if device.type == "cpu" or side.device == device:
            yield first, side
            continue
        step = _rows(side, device)
        for start in range(0, side.rows, step):
            coming = first + start, moved(side.take(slice(start, start + step)), device)
            if waiting is not None:
                yield waiting
            waiting = coming
    if waiting is not None:
        yield waiting


def moved(side: Side, device: torch.device) -> Side:
    """A side on the device, queued without waiting where the device can copy by itself.

    Args:
        side: On the CPU.
        device: Where it goes.

    Returns:
        On the device.
    """
    if device.type != "cuda":
        return side.to(device)
    return Side({name: tensor.pin_memory() for name, tensor in side.items()}).to(device, non_blocking=True)


def _rows(side: Side, device: torch.device) -> int:
    """How many rows of a side go at once."""
    if device.type != "cuda":
        return max(1, side.rows)
    row = sum(tensor[:1].nbytes for tensor in side.values())
    return max(1, torch.cuda.mem_get_info(device)[0] // (SHARE * max(1, row)))
