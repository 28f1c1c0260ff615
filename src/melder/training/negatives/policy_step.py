"""What a sampler that learns hands to the training step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["PolicyStep"]


@dataclass
class PolicyStep:
    """What came of a step of the generator.

    Args:
        loss: A scalar.
        figures: To watch it by.
    """

    loss: Tensor
    figures: dict[str, Tensor]
