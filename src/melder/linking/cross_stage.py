"""A cross-encoder as a second stage: each candidate scored by a model that reads it together with the mention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from melder.languages import AS_WRITTEN, Languages
from melder.linking.second_stage import Opinion
from melder.records import Entity, Item, Mention
from melder.runs.cross_encoder import CrossEncoder, open_cross_encoder, pair_texts
from melder.runs.directory import run_device
from melder.runs.rerank_configuration import RerankConfiguration, read_rerank

__all__ = ["CrossStage", "open_cross_stage"]


class CrossStage:
    """Scores candidates by a cross-encoder; fulfils `melder.linking.second_stage.SecondStage`.

    Args:
        encoder: What reads pairs.
        look: How much of texts is read, and how many mentions together.
    """

    name = "cross"
    reader = None

    def __init__(self, encoder: CrossEncoder, look: RerankConfiguration) -> None:
        self.encoder: Any = encoder
        self.texts, self.at_once, self.precision = pair_texts(encoder, look), look.at_once, look.precision
        self.languages = AS_WRITTEN

    def opinions(
        self, mentions: Sequence[Mention], items: Sequence[Item], candidates: Sequence[Sequence[Entity]]
    ) -> list[Opinion]:
        pairs = [
            self.texts.pair(mention, entity, self.languages)
            for mention, entities in zip(mentions, candidates, strict=True)
            for entity in entities
        ]
        scores = self._scores(pairs)
        ends = np.cumsum([len(entities) for entities in candidates])
        return [Opinion(part) for part in np.split(scores, ends[:-1])] if len(ends) else []

    def name_in(self, languages: Languages) -> None:
        self.languages = languages

    def close(self) -> None:
        """There is nothing open."""

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """[pairs], evaluation mode."""
        if not pairs:
            return np.zeros(0)
        device = next(self.encoder.parameters()).device
        inputs = {name: tensor.to(device) for name, tensor in self.encoder.prepare(pairs).items()}
        half = torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with torch.inference_mode(), half:
            scores: np.ndarray = self.encoder(inputs).double().cpu().numpy()
        return scores


def open_cross_stage(look: RerankConfiguration, run: Path, device: str | None = None) -> CrossStage:
    """The stage that a second look describes: what the run has trained, if it is of the same model.

    Args:
        look: Settings of the second look, which name a model of text pairs.
        run: Of the first stage; it may have trained the cross-encoder in its directory `rerank`.
        device: As PyTorch calls it; None = a GPU where there is one.

    Returns:
        The stage, its model on the device.

    Raises:
        MelderError: It is not there, or not trained.
    """
    stored = read_rerank(run)
    trained = stored is not None and stored.cross == look.cross
    encoder: Any = open_cross_encoder(look, run, trained=trained)
    return CrossStage(encoder.to(run_device(device)), look)
