"""The mean of the weights of several looks, which is often better than any of them.

Stochastic weight averaging (Izmailov et al., 2018), of looks at the selection set rather than of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.optim.swa_utils import get_swa_multi_avg_fn

from melder.training.configuration import SelectionFigure
from melder.training.loop.checkpoints import weights

__all__ = ["keep_mean", "mean_weights"]


def mean_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the weights of some checkpoints of one training.

    Args:
        files: Checkpoints, one at least.

    Returns:
        The mean of every tensor of numbers, running statistics of norms among them; whole numbers are the first file's.
    """
    mean = weights(files[0])
    names = [name for name, tensor in mean.items() if tensor.is_floating_point()]
    add = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
    for count, file in enumerate(files[1:], start=1):
        state = weights(file)
        add([mean[name] for name in names], [state[name] for name in names], count)
    return mean


def keep_mean(
    module: nn.Module,
    files: Sequence[Path],
    look: Callable[[], Mapping[str, float]],
    figure: SelectionFigure,
    highest: float,
) -> None:
    """Put the mean of some looks' weights into a module, unless the selection set says that it is worse.

    Args:
        module: Has the weights of the best look.
        files: Of the looks.
        look: Takes one more look, at the module as it is.
        figure: What is compared.
        highest: This figure of the best look.
    """
    best = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.load_state_dict(mean_weights(files), strict=False)  # a frozen encoder's weights are not in checkpoints
    if look()[figure] < highest:
        module.load_state_dict(best)
