"""The Lightning module of GEMEL: one optimizer step over a batch that goes through the language model in parts."""

from __future__ import annotations

from typing import Any

import lightning
import torch

from melder.runs.gemel import Gemel
from melder.training.configuration import TrainingConfiguration
from melder.training.generative.prompt_batch import Asked
from melder.training.loop.optimizer import scheduled_optimizer
from melder.training.order import seed_step

__all__ = ["GenerativeModule"]


class GenerativeModule(lightning.LightningModule):  # type: ignore[misc]
    """Trains the mapper, and LoRA's terms where there are any, for `steps` optimizer steps at most.

    The loss is the mean over the mentions of a batch of - the mean log-probability of the tokens of their answers.
    Gradients of parts of a batch are added up before the one step, so that the size of the parts changes nothing,
    and schedule, checkpoints and resumption count optimizer steps. (Published: batches of 1, 16 of them a step.)

    Args:
        model: That is trained.
        training: Learning rates and clipping.
        steps: At most.
    """

    clips_gradients = True  # after the last part of a batch

    def __init__(self, model: Gemel, training: TrainingConfiguration, *, steps: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model, self.options, self.steps = model, training, steps
        self.strict_loading = False  # checkpoints hold what learns only
        self.train()  # from the first step on: models are opened in evaluation mode, and Lightning leaves the mode be

    def training_step(self, batch: Asked, batch_idx: int) -> None:
        seed_step(self.options.seed, self.global_step)  # published mode has dropout in the language model
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        optimizer.zero_grad()
        total = 0.0
        for loss in self.model.model.part_losses(batch.prompts, batch.answers, self.model.options.at_once):
            self.manual_backward(loss)
            total += float(loss.detach())
        if self.options.gradient_clip is not None:
            learned = [parameter for parameter in self.parameters() if parameter.requires_grad]
            torch.nn.utils.clip_grad_norm_(learned, self.options.gradient_clip)
        optimizer.step()
        schedule.step()
        self.log("loss_answer", total)

    def configure_optimizers(self) -> dict[str, Any]:
        return scheduled_optimizer(self.model, self.options, self.steps)

    def transfer_batch_to_device(self, batch: Asked, device: torch.device, dataloader_idx: int) -> Asked:
        """Prompts become tensors in the model, which puts them where it is."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        learned = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        checkpoint["state_dict"] = {
            name: tensor for name, tensor in checkpoint["state_dict"].items() if name in learned
        }
