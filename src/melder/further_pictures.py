"""Features of the pictures that items have behind their first ones: as many as each has, without padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FurtherPictures"]


@dataclass
class FurtherPictures:
    """Features of the further pictures of n items, x in all: an item's in their order, after those of the item before.

    Args:
        counts: [n] int64, how many each item has behind its first picture.
        image_global: [x, g]
        image_tokens: [x, P, d]
        image_mask: [x] bool, False = the picture could not be read.
    """

    counts: Tensor
    image_global: Tensor
    image_tokens: Tensor
    image_mask: Tensor

    @staticmethod
    def of(counts: Tensor, vectors: Tensor | None, tokens: Tensor | None, mask: Tensor) -> FurtherPictures:
        """Those of an encoder that sees, whose features have both tensors.

        Args:
            counts: As above.
            vectors: [x, g]
            tokens: [x, P, d]
            mask: [x]

        Returns:
            The further pictures.
        """
        assert vectors is not None
        assert tokens is not None
        return FurtherPictures(counts, vectors, tokens, mask)

    def __len__(self) -> int:
        """The number of items."""
        return len(self.counts)

    def __getitem__(self, rows: slice | Tensor) -> FurtherPictures:
        counts = self.counts[rows]
        owner, place = _spread(counts)
        index = self.starts[rows][owner] + place
        return FurtherPictures(counts, self.image_global[index], self.image_tokens[index], self.image_mask[index])

    @property
    def starts(self) -> Tensor:
        """[n]: where each item's further pictures begin among all."""
        return self.counts.cumsum(0) - self.counts

    @property
    def owners(self) -> Tensor:
        """[x]: the row of the item that each picture is of."""
        return _spread(self.counts)[0]

    @property
    def places(self) -> Tensor:
        """[x]: which of its item's further pictures each is, from 0."""
        return _spread(self.counts)[1]

    def without(self, items: Tensor) -> FurtherPictures:
        """The same without those of the items that are True, [n]."""
        keep = ~items[self.owners]
        return FurtherPictures(
            self.counts * ~items, self.image_global[keep], self.image_tokens[keep], self.image_mask[keep]
        )

    def mapped(self, change: Callable[[Tensor], Tensor]) -> FurtherPictures:
        """The same with every tensor changed, such as moved to another device."""
        return FurtherPictures(
            change(self.counts), change(self.image_global), change(self.image_tokens), change(self.image_mask)
        )

    @staticmethod
    def joined(parts: Sequence[FurtherPictures | None], items: Sequence[int]) -> FurtherPictures | None:
        """Those of several sets of items, one after the other; `items` says how many each set has."""
        there = [pictures for pictures in parts if pictures is not None]
        if not there:
            return None
        none = there[0].counts
        counts = [
            none.new_zeros(count) if pictures is None else pictures.counts
            for pictures, count in zip(parts, items, strict=True)
        ]
        return FurtherPictures(
            torch.cat(counts),
            torch.cat([pictures.image_global for pictures in there]),
            torch.cat([pictures.image_tokens for pictures in there]),
            torch.cat([pictures.image_mask for pictures in there]),
        )


def _spread(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For each of sum(counts) places the row that it belongs to, and its number in that row."""
    owner = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - starts[owner]
