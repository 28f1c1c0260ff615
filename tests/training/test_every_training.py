"""Every registered training against what all promise (`training.training_case`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generative import tiny
from training import small
from training.training_case import TrainingCase


class TestMatchingOnFeatures(TrainingCase):
    training = "matching"

    @classmethod
    def content(cls, data: Path) -> dict[str, Any]:
        return small.settings(data)


class TestMatchingWithItsEncoder(TrainingCase):
    training = "matching"

    @classmethod
    def content(cls, data: Path) -> dict[str, Any]:
        return small.settings(data, trained=True, negatives={"sampler": "uniform", "count": 2})


class TestGenerative(TrainingCase):
    training = "gemel"

    @classmethod
    def content(cls, data: Path) -> dict[str, Any]:
        return tiny.settings(data)
