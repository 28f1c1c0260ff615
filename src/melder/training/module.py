"""The Lightning module: one step, and the optimizer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import lightning
import torch
from torch import Tensor

from melder.features import Features
from melder.linking.model import Model
from melder.methods.losses import Batch
from melder.protocols import Inputs
from melder.training.configuration import TrainingConfiguration
from melder.training.examples import Batched
from melder.training.gather import gather, gather_rows
from melder.training.optimizer import build_optimizer, learning_rate_factor
from melder.training.order import draw

__all__ = ["TrainingModule", "training_losses"]


def training_losses(model: Model, batched: Batched, *, mask_duplicates: bool) -> dict[str, Tensor]:
    """The losses of a batch by name; their sum is what is minimised.

    Over several processes each scores its own mentions against the entities of all; the mean of the processes'
    gradients is the gradient of one process with the whole batch.
    """
    mentions = gather(_features(model, batched.mentions, batched.mention_surfaces))
    entities = gather(_features(model, batched.entities, batched.entity_surfaces))
    answer = gather_rows(batched.answer)
    gold = torch.arange(len(answer), device=answer.device)[_own(batched.answer)]
    ignore = answer[gold][:, None] == answer[None, :] if mask_duplicates else answer.new_zeros(1, 1, dtype=torch.bool)
    own = torch.arange(len(answer), device=answer.device)[None, :] == gold[:, None]
    batch = Batch(model.matcher.heads(mentions), model.matcher.heads(entities), gold, ignore & ~own)
    mention_side = model.matcher.sides_of(batch.mentions, "mention_side").take(gold)
    scores = model.matcher.score(mention_side, model.matcher.sides_of(batch.entities, "entity_side"))
    return model.matcher.losses(batch, scores)


def _features(model: Model, given: Features | Inputs, surfaces: list[tuple[str, ...]]) -> Features:
    if isinstance(given, Features):
        return given
    with torch.autocast(model.device.type, torch.bfloat16, model.precision == "bf16"):
        features = model.encoder(given)
    return replace(cast(Features, features).to(torch.float32), surfaces=surfaces)


def _own(answer: Tensor) -> slice:
    """This process's rows of the gathered batch."""
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    return slice(rank * len(answer), (rank + 1) * len(answer))


class TrainingModule(lightning.LightningModule):  # type: ignore[misc]
    """Trains a `Model` for `steps` steps at most."""

    def __init__(
        self,
        model: Model,
        training: TrainingConfiguration,
        *,
        steps: int,
        mask_duplicates: bool,
    ) -> None:
        super().__init__()
        self.model = model
        self.options = training
        self.steps = steps
        self.mask_duplicates = mask_duplicates
        self.strict_loading = False  # see on_save_checkpoint

    def training_step(self, batched: Batched, batch_idx: int) -> Tensor:
        # Dropout of the encoder, a function of the step alone.
        torch.manual_seed(int(draw("step", self.options.seed, self.global_step).integers(2**62)))
        losses = self(batched)
        self.log_dict({f"loss_{name}": value.detach() for name, value in losses.items()})
        return torch.stack(list(losses.values())).sum()

    def forward(self, batched: Batched) -> dict[str, Tensor]:
        return training_losses(self.model, batched, mask_duplicates=self.mask_duplicates)

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = build_optimizer(self.model, self.options)
        factor = learning_rate_factor(self.options, self.steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A frozen encoder is the same at every step, and large: its weights are not stored again and again."""
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: tensor for name, tensor in state.items() if name not in frozen}
