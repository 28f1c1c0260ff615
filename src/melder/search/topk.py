"""The best entities of some mentions, from scores that come a block of entities at a time."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from melder.ops.largest import largest

__all__ = ["TopK"]


class TopK:
    """The k best of the rows seen so far, best first: rows and totals [mentions, k], and what each unit adds.

    Of equal totals the one that came first stays in front, so that rows which come in ascending order give the
    order of the entities.
    """

    def __init__(self, mentions: int, k: int) -> None:
        self.k = k
        self.rows = torch.zeros(mentions, 0, dtype=torch.long)
        self.totals = torch.zeros(mentions, 0)
        self.parts: dict[str, Tensor] = {}

    def update(self, first: int, total: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Take in the scores [mentions, n] of the rows from `first` on."""
        totals, rows = largest(total, self.k)
        self.join(first + rows, totals, {name: scores.gather(1, rows) for name, scores in parts.items()})

    def join(self, rows: Tensor, totals: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Take in other rows, best first, with their totals and what each unit adds, all [mentions, n].

        Where there are none, what each unit adds need not be said.
        """
        if not rows.shape[1]:
            return
        if not self.rows.shape[1]:
            self.rows, self.totals = rows[:, : self.k], totals[:, : self.k].float()
            self.parts = {name: scores[:, : self.k].float() for name, scores in parts.items()}
            return
        merged, order = torch.cat([self.totals, totals], dim=1).sort(dim=1, descending=True, stable=True)
        chosen = order[:, : self.k]
        before = self.parts or dict.fromkeys(parts, self.totals)
        self.parts = {
            name: torch.cat([before[name], scores], dim=1).gather(1, chosen) for name, scores in parts.items()
        }
        self.rows = torch.cat([self.rows, rows], dim=1).gather(1, chosen)
        self.totals = merged[:, : self.k]
