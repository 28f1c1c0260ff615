"""Stored features of several networks as those of one: what one network misses another may have seen.

Vectors of each network are made one long and put side by side, over the root of their number, so that a cosine is the
mean of the networks' cosines. Tokens are put side by side too, as they are; so the networks must have cut pictures into
as many positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from melder.data.pictures import Limits
from melder.encoders.precomputed import StoredPictures
from melder.encoders.towers import Settings
from melder.protocols import Inputs
from melder.records import Item, MelderError

__all__ = ["JoinedPictures"]


class JoinedPictures(nn.Module):
    """A picture tower without parameters.

    Args:
        networks: The stored features of each network.

    Raises:
        MelderError: They have other numbers of positions.
    """

    def __init__(self, networks: Sequence[StoredPictures]) -> None:
        super().__init__()
        self.networks = tuple(networks)
        first, *others = self.networks
        for other in others:
            if other.positions != first.positions:
                raise MelderError(
                    f"precomputed: '{other.files[0]}' has {other.positions} tokens a picture, '{first.files[0]}' "
                    f"{first.positions}; join networks with as many, or store the same number"
                )
        vectors, tokens = zip(*(network.widths for network in self.networks), strict=True)
        self.widths, self.positions = (sum(vectors), sum(tokens)), first.positions
        self.blank: Inputs = _beside([network.blank for network in self.networks])

    def read(self, item: Item) -> Inputs:
        """The features of a picture that every network has stored."""
        return _beside([network.read(item) for network in self.networks])

    def check(self, content: bytes, limits: Limits) -> None:
        self.networks[0].check(content, limits)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        return inputs["image_global"], inputs["image_tokens"]

    def save(self, directory: Path) -> Settings:
        return {"kind": "joined", "networks": [network.save(directory) for network in self.networks]}

    @staticmethod
    def load(directory: Path, settings: Settings) -> JoinedPictures:
        return JoinedPictures([StoredPictures.load(directory, network) for network in settings["networks"]])


def _beside(stored: Sequence[Inputs]) -> Inputs:
    """Of one picture: image_global [g] and image_tokens [P, d] of all networks."""
    vectors = [normalize(features["image_global"], dim=0) for features in stored]
    tokens = [features["image_tokens"] for features in stored]
    return {
        "image_global": torch.cat(vectors) / len(stored) ** 0.5,
        "image_tokens": torch.cat(tokens, dim=-1),
    }
