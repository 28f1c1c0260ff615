"""Whether a published model's files hold the weights that a tower reads, no fewer and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from melder.encoders.sources import ModelSource
from melder.records import MelderError

__all__ = ["check_weights"]

SHOWN = 3  # names that a message lists
# What older files hold and newer models compute, and what only pre-training reads.
_BUFFERS = ["position_ids", "inv_freq", "num_batches_tracked", "attn.bias", "attn.masked_bias"]
_TRAINING = ["mask_token", "logit_scale", "logit_bias"]
IGNORED = re.compile(rf"(^|\.)({'|'.join(map(re.escape, _BUFFERS + _TRAINING))})$")


def check_weights(source: ModelSource, model: nn.Module, used: Iterable[nn.Module], report: Mapping[str, Any]) -> None:
    """Refuse a model whose files lack weights that are read, or hold others beside them.

    A weight of a head that is not used may be missing or too many: a classifier, a language model's head, a pooler.

    Args:
        source: where the model is
        model: all of it, as transformers built it
        used: its parts that a tower computes with
        report: transformers' own, with `missing_keys` and `unexpected_keys`

    Raises:
        MelderError: names the weights
    """
    tensors = {id(tensor) for part in used for tensor in part.state_dict(keep_vars=True).values()}
    names = {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in tensors}
    missing = sorted(name for name in report["missing_keys"] if name in names and not IGNORED.search(name))
    if missing:
        raise MelderError(f"model '{source.name}': its files lack {_listed(missing)}; download it again")
    bodies = {name.partition(".")[0] for name in names}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    beside = sorted(
        name
        for name in report["unexpected_keys"]
        if name.removeprefix(prefix).partition(".")[0] in bodies and not _is_head(name)
    )
    if beside:
        raise MelderError(
            f"model '{source.name}': its files hold {_listed(beside)}, which its config.json has no place for; "
            "correct the configuration, or download the model again"
        )


def _is_head(name: str) -> bool:
    return bool(IGNORED.search(name)) or "pooler." in name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more weights" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
