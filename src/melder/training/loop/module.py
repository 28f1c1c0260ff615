"""The Lightning module: one step, and the optimizer."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import lightning
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from melder.encoders import computing
from melder.features import Features, Scores, concatenate
from melder.methods.losses import Batch
from melder.protocols import Inputs
from melder.records import MelderError
from melder.runs.model import Model
from melder.training.batched import Batched
from melder.training.configuration import TrainingConfiguration
from melder.training.loop.gather import gather, gather_mentions, gather_rows, own_rows
from melder.training.loop.optimizer import scheduled_optimizer
from melder.training.negatives.planted import Planted
from melder.training.negatives.samplers import LearningSampler
from melder.training.order import seed_step

__all__ = ["TrainingModule", "batch_scores", "no_negatives", "training_losses"]


def training_losses(
    model: Model, batched: Batched, *, mask_duplicates: bool, encode_at_once: int | None = None
) -> dict[str, Tensor]:
    """The losses of a batch by name; their sum is what is minimised.

    Args:
        model: That is trained.
        batched: On its device.
        mask_duplicates: Whether entities that are the gold one again are no negatives.
        encode_at_once: Items that a trained encoder reads together; None = all.

    Returns:
        Scalars.
    """
    batch, scores = batch_scores(model, batched, mask_duplicates=mask_duplicates, encode_at_once=encode_at_once)
    return model.matcher.losses(batch, scores)


def batch_scores(
    model: Model, batched: Batched, *, mask_duplicates: bool, encode_at_once: int | None = None
) -> tuple[Batch, Scores]:
    """What losses read of a batch, and the scores [own mentions, all entities].

    With `encode_at_once` a trained encoder reads so many items together, and keeps nothing of them for gradients but
    what they are read from: each part goes through it once more in the backward pass, alone. The gradients are the same
    (gradient caching; Gao et al. 2021), and memory is that of one part.

    Over several processes each scores its own mentions against the entities of all; the mean of the processes'
    gradients is the gradient of one process with the whole batch.

    Args:
        model: That is trained.
        batched: On its device.
        mask_duplicates: Whether entities that are the gold one again are no negatives.
        encode_at_once: Items that a trained encoder reads together; None = all.

    Returns:
        Both.
    """
    encode = partial(_encoded_in_parts, model, encode_at_once)
    own = batched.mentions.features(encode)
    pairs, mentions = len(own), gather_mentions(own)
    entities = gather(batched.entities.features(encode))
    order = _gold_first(len(batched.entity_rows), pairs, batched.entity_rows.device)
    if len(order) > len(mentions):
        entities = entities[order]
    columns = gather_rows(batched.entity_rows)[order]
    gold = torch.arange(len(mentions), device=columns.device)[own_rows(pairs)]
    ignore = no_negatives(columns, gold, len(mentions), mask_duplicates=mask_duplicates)
    sampled = _sampled(columns, gold, len(mentions))
    batch = Batch(model.matcher.heads(mentions), model.matcher.heads(entities), gold, ignore, sampled)
    mention_side = model.matcher.mention_side_of(batch.mentions).take(gold)
    return batch, model.matcher.score(mention_side, model.matcher.entity_side_of(batch.entities))


def _encoded_in_parts(model: Model, encode_at_once: int | None, inputs: Inputs) -> Features:
    count = len(next(iter(inputs.values())))
    if encode_at_once is None or count <= encode_at_once:
        return _encoded(model, inputs)
    cuts = [slice(start, start + encode_at_once) for start in range(0, count, encode_at_once)]
    parts = [{name: tensor[cut] for name, tensor in inputs.items()} for cut in cuts]
    encoded: list[Features] = [checkpoint(_encoded, model, part, use_reentrant=False) for part in parts]
    return concatenate(encoded)


def _encoded(model: Model, inputs: Inputs) -> Features:
    with computing(model.device, model.precision):
        return cast(Features, model.encoder(inputs)).to(torch.float32)


def no_negatives(columns: Tensor, gold: Tensor, pairs: int, *, mask_duplicates: bool) -> Tensor:
    """Where an entity is no negative of a mention: its gold one again, or a sampled one that is in the batch already,
    which would count twice. Never at the gold column itself.

    Args:
        columns: [e], numbers of the entities, one for those that are no negatives of each other.
        gold: [m], the column of each mention's gold entity.
        pairs: From this column on entities are sampled.
        mask_duplicates: False = all others are negatives, as published.

    Returns:
        [m, e], or [1, 1] where none is ignored; True = no negative.
    """
    if not mask_duplicates:
        return columns.new_zeros(1, 1, dtype=torch.bool)
    repeated = (columns[:, None] == columns[None, :]).tril(-1).any(dim=1)
    repeated[:pairs] = False
    ignore = (columns[gold][:, None] == columns[None, :]) | repeated[None, :]
    return ignore.scatter(1, gold[:, None], False)


def _gold_first(columns: int, pairs: int, device: torch.device) -> Tensor:
    """The gathered columns with the gold ones of every process before all sampled ones."""
    processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    every = torch.arange(processes * columns, device=device).view(processes, columns)
    return torch.cat([every[:, :pairs].reshape(-1), every[:, pairs:].reshape(-1)])


def _sampled(columns: Tensor, gold: Tensor, pairs: int) -> Tensor:
    """[m, n]: where the negatives of this process's mentions stand, -1 for one of the gold entity's own number."""
    drawn = torch.arange(pairs, len(columns), device=columns.device).view(pairs, -1)[gold]
    return drawn.masked_fill(columns[drawn] == columns[gold][:, None], -1)


class TrainingModule(lightning.LightningModule):  # type: ignore[misc]
    """Trains a `Model` for `steps` steps at most.

    Args:
        player: What picks the negatives, where it learns too; its generator is part of checkpoints, not of the run.
        planted: Copies of entities among those that are drawn, which are counted.
    """

    clips_gradients = False

    def __init__(
        self,
        model: Model,
        training: TrainingConfiguration,
        *,
        steps: int,
        mask_duplicates: bool,
        player: LearningSampler | None = None,
        planted: Planted | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.player = player
        self.generator = None if player is None else player.generator
        self.planted = planted
        self.options = training
        self.steps = steps
        self.mask_duplicates = mask_duplicates
        self.strict_loading = False  # see on_save_checkpoint

    def training_step(self, batched: Batched, batch_idx: int) -> Tensor:
        seed_step(self.options.seed, self.global_step)
        losses = self(batched)
        self.log_dict({f"loss_{name}": value.detach() for name, value in losses.items()})
        if self.planted is not None:
            rate, drawn = self.planted.false_negatives(batched.rows, batched.drawn)
            if drawn:
                self.log("false_negatives", rate, batch_size=drawn, on_step=False, on_epoch=True)
        return torch.stack(list(losses.values())).sum()

    def forward(self, batched: Batched) -> dict[str, Tensor]:
        batch, scores = batch_scores(
            self.model,
            batched,
            mask_duplicates=self.mask_duplicates,
            encode_at_once=self.options.encode_at_once,
        )
        losses = self.model.matcher.losses(batch, scores)
        if self.player is None:
            return losses
        played = self.player.play(batched, batch, scores.total.detach(), self.current_epoch)
        self.log_dict({f"generator_{name}": value for name, value in played.figures.items()})
        return losses if self.global_step % self.player.every else {**losses, "generator": played.loss}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """The norms of the two players' gradients are limited apart: neither shortens the other's steps."""
        for part in (self.model, self.generator):
            if gradient_clip_val is not None and part is not None:
                torch.nn.utils.clip_grad_norm_(part.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> dict[str, Any]:
        return scheduled_optimizer(self.model, self.options, self.steps, self.generator)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A frozen encoder is the same at every step, and large: its weights are not stored again and again."""
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: tensor for name, tensor in state.items() if name not in frozen}
        checkpoint["parameters"] = self._learned()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The optimizer's state goes by the order of the parameters, which another version of Melder may have changed.

        Raises:
            MelderError: Then.
        """
        if checkpoint.get("parameters") != self._learned():
            raise MelderError(
                "the checkpoint to go on from has other parameters, or in another order: an earlier Melder wrote it; "
                "remove the run's checkpoints, and training starts anew"
            )

    def _learned(self) -> list[str]:
        return [name for name, parameter in self.named_parameters() if parameter.requires_grad]
