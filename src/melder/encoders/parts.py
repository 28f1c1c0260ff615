"""A model without the parts that a tower does not compute with: they would get no gradient, and fill a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["share_weights", "unused_parts", "without_parts"]

Model = Any  # transformers ships no types


def unused_parts(model: Model, compute: Callable[[Model], tuple[Tensor, ...]]) -> list[str]:
    """Names of the largest parts, and single parameters, on which what is computed does not depend.

    Args:
        model: of transformers; its parameters then want gradients
        compute: gives the tensors that a tower makes with a model

    Returns:
        names for `without_parts`; a part that the computation cannot do without is not among them
    """
    names = list(_unused(model, "", _used(model, compute)))
    try:
        with torch.no_grad():
            compute(without_parts(model, names))
    except (AttributeError, TypeError):  # a part that is called, although nothing comes of it
        return [name for name in names if "." not in name]
    return names


def without_parts(model: Model, names: Sequence[str]) -> Model:
    """A model of its own that shares all its other parts with `model`.

    Args:
        model: which is not changed
        names: dotted names of modules or parameters

    Returns:
        the other model, in which these are None
    """
    rest = _shallow(model)
    for name in names:
        parent, steps = rest, name.split(".")
        for step in steps[:-1]:
            child = _shallow(getattr(parent, step))
            parent._modules[step] = child
            parent = child
        content = parent._parameters if steps[-1] in parent._parameters else parent._modules
        content[steps[-1]] = None
    return rest


def share_weights(first: nn.Module, second: nn.Module) -> bool:
    """Whether a parameter belongs to both.

    Args:
        first, second: any modules

    Returns:
        whether one does
    """
    return bool({id(weight) for weight in first.parameters()} & {id(weight) for weight in second.parameters()})


def _used(model: Model, compute: Callable[[Model], tuple[Tensor, ...]]) -> set[int]:
    """The identities of the parameters that a gradient reaches."""
    parameters = [parameter.requires_grad_() for parameter in model.parameters()]
    with torch.enable_grad():
        # Uneven weights: the plain sum of what a LayerNorm gives does not depend on what it is given.
        total = torch.cat([part.flatten() * torch.linspace(1, 2, part.numel()) for part in compute(model)]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return {id(parameter) for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None}


def _unused(module: nn.Module, prefix: str, used: set[int]) -> Iterator[str]:
    yield from (prefix + name for name, own in module._parameters.items() if own is not None and id(own) not in used)
    for name, child in module.named_children():
        of_child = [id(parameter) in used for parameter in child.parameters()]
        if of_child and not any(of_child):
            yield prefix + name
        elif not all(of_child):
            yield from _unused(child, f"{prefix}{name}.", used)


def _shallow(module: Model) -> Model:
    """A module of its own with the same children, parameters and buffers."""
    other = copy(module)
    other._modules, other._parameters = dict(module._modules), dict(module._parameters)
    return other
