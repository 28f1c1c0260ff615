"""AdamW with the groups that the configuration asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from melder.encoders import layers_above
from melder.training.configuration import TrainingConfiguration

__all__ = ["build_optimizer", "learning_rate_factor", "scheduled_optimizer"]


def scheduled_optimizer(
    model: nn.Module, training: TrainingConfiguration, steps: int, generator: nn.Module | None = None
) -> dict[str, Any]:
    """The optimizer of a training and the schedule of its learning rates, stepped once an optimizer step.

    Args:
        model: With an `encoder`; what requires no gradient is left out.
        training: Learning rates, decay, warm-up and schedule.
        steps: How many the training takes, at which a falling schedule ends.
        generator: Of negatives, where one learns too.

    Returns:
        What Lightning's `configure_optimizers` gives.
    """
    optimizer = build_optimizer(model, training, generator)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(training, steps))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def build_optimizer(
    model: nn.Module, training: TrainingConfiguration, generator: nn.Module | None = None
) -> torch.optim.AdamW:
    """Encoder, matcher, lexical weight and a generator of negatives may have learning rates of their own.

    With `layer_decay` below 1 a layer of the encoder learns the slower the further it is from the output.

    Biases, norms and constants are not decayed. (Of the published patterns for that only `bias` matches names of
    parameters, so the published recipe decays the norms' weights.)

    Args:
        model: With an `encoder`.
        training: Learning rates and decay.
        generator: Of negatives, where one learns too.

    Returns:
        With a group for each pair of rate and decay.
    """
    groups, above = [], layers_above(model.get_submodule("encoder")) if training.layer_decay < 1 else {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = _group(name, parameter, training)
            group["lr"] *= training.layer_decay ** above.get(name.removeprefix("encoder."), 0)
            groups.append(group)
    if generator is not None:
        groups += [_group(f"generator.{name}", parameter, training) for name, parameter in generator.named_parameters()]
    return torch.optim.AdamW(_merged(groups), eps=training.epsilon)


def _group(name: str, parameter: nn.Parameter, training: TrainingConfiguration) -> dict[str, Any]:
    matcher = training.matcher_learning_rate or training.learning_rate
    rate = training.learning_rate if name.startswith("encoder.") else matcher
    if name == "matcher.lexical.log_weight":
        rate = training.lexical_learning_rate or matcher
    if name.startswith("generator."):
        rate = training.negatives.generator.learning_rate or matcher
    decay = training.weight_decay if parameter.ndim > 1 else 0.0
    return {"params": [parameter], "lr": rate, "weight_decay": decay}


def _merged(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups with the same settings joined, in the order of their first parameter."""
    merged: dict[tuple[float, float], dict[str, Any]] = {}
    for group in groups:
        key = (group["lr"], group["weight_decay"])
        merged.setdefault(key, {**group, "params": []})["params"].extend(group["params"])
    return list(merged.values())


def learning_rate_factor(training: TrainingConfiguration, steps: int) -> Callable[[int], float]:
    """What the learning rates are multiplied with at each step: a linear warm-up, then constant or down to 0.

    Args:
        training: Warm-up and schedule.
        steps: Of the training.

    Returns:
        From steps done to a factor.
    """

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / (training.warmup_steps + 1))
        if training.schedule == "constant":
            return warm
        if training.schedule == "linear":
            return warm * max(0.0, 1 - max(0, step - training.warmup_steps) / max(1, steps - training.warmup_steps))
        return warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / max(1, steps))))

    return factor
