"""The Lightning module of a cross-encoder, and its batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from melder.encoders.pair_texts import PairTexts
from melder.protocols import Inputs
from melder.records import Entity, Mention
from melder.runs.cross_encoder import CrossEncoder, Pair
from melder.training.configuration import TrainingConfiguration
from melder.training.loop.optimizer import scheduled_optimizer
from melder.training.order import BatchPlan, draw, seed_step

__all__ = ["CrossBatch", "CrossExamples", "CrossModule"]

NOTHING = -1e9  # the score of a candidate that is not there


@dataclass
class CrossBatch:
    """Pairs of some mentions, the right one of each first.

    Args:
        inputs: As the model reads them.
        counts: How many pairs each mention has.
    """

    inputs: Inputs
    counts: list[int]


@dataclass
class CrossExamples:
    """Training mentions with what they are to be told from.

    Args:
        encoder: Cuts texts into tokens.
        texts: What is read of a mention and an entity.
        mentions: Each has an answer.
        wrong: The ids of the wrong candidates of each.
        entities: By id.
        negatives: Wrong candidates of a mention in a batch.
    """

    encoder: CrossEncoder
    texts: PairTexts
    mentions: Sequence[Mention]
    wrong: Sequence[Sequence[str]]
    entities: Mapping[str, Entity]
    negatives: int

    def batch(self, plan: BatchPlan, epoch: int, rows: np.ndarray) -> CrossBatch:
        pairs = [self._pairs(plan, epoch, int(row)) for row in rows]
        inputs = self.encoder.prepare([pair for mention_pairs in pairs for pair in mention_pairs])
        return CrossBatch(inputs, list(map(len, pairs)))

    def _pairs(self, plan: BatchPlan, epoch: int, row: int) -> list[Pair]:
        mention, wrong = self.mentions[row], self.wrong[row]
        count = min(self.negatives, len(wrong))
        drawn = draw("negative", plan.seed, epoch, row).choice(len(wrong), count, replace=False)
        chosen = [str(mention.answer), *(wrong[number] for number in drawn)]
        return [self.texts.pair(mention, self.entities[identity]) for identity in chosen]


class CrossModule(lightning.LightningModule):  # type: ignore[misc]
    """Trains a cross-encoder: the cross entropy of the right candidate among those of its mention.

    Args:
        encoder: That is trained.
        training: Learning rates.
        steps: At most.
    """

    clips_gradients = False

    def __init__(self, encoder: CrossEncoder, training: TrainingConfiguration, *, steps: int) -> None:
        super().__init__()
        self.model, self.options, self.steps = encoder, training, steps
        self.strict_loading = False
        self.train()  # from the first step on: models are opened in evaluation mode

    def training_step(self, batch: CrossBatch, batch_idx: int) -> Tensor:
        seed_step(self.options.seed, self.global_step)
        scores = torch.split(self.model(batch.inputs).float(), batch.counts)  # type: ignore[no-untyped-call]
        padded = pad_sequence(list(scores), batch_first=True, padding_value=NOTHING)
        loss: Tensor = cross_entropy(padded, torch.zeros(len(scores), dtype=torch.long, device=padded.device))
        self.log("loss_candidates", loss.detach(), batch_size=len(scores))
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        return scheduled_optimizer(self.model, self.options, self.steps)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: CrossBatch, device: torch.device, dataloader_idx: int) -> CrossBatch:
        return CrossBatch({name: tensor.to(device) for name, tensor in batch.inputs.items()}, batch.counts)
