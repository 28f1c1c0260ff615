"""A batch of a method that writes names."""

from __future__ import annotations

from dataclasses import dataclass

from melder.generative.prompt import Blocks

__all__ = ["Asked"]


@dataclass
class Asked:
    """A batch of n mentions.

    Args:
        prompts: [n].
        answers: [n], the tokens of the names that answer them, their end included.
    """

    prompts: list[Blocks]
    answers: list[list[int]]
