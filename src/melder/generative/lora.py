"""LoRA on the language model: low-rank terms beside its frozen weights, which learn with the mapper (arXiv 2106.09685).

They are peft's. They stand inside the model, so that whatever reads it reads them, and a run keeps them, not the model.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from melder.generative.language_model import LanguageModel
from melder.io.tensors import write_tensors
from melder.methods.gemel import LoRAConfiguration
from melder.records import MelderError

__all__ = ["LORA", "add_lora", "check_lora_readable", "lora_weights"]

LORA = ".lora_"  # in the names of its weights, and of no others


def add_lora(language_model: LanguageModel, options: LoRAConfiguration) -> None:
    """Put the terms into a language model; they change nothing before they are trained.

    Args:
        language_model: It is changed.
        options: Rank, scale and layers.

    Raises:
        MelderError: peft is not installed, or the model has no such layers.
    """
    if find_spec("peft") is None:
        raise MelderError("method.lora needs peft, not installed here; pip install 'melder[lora]'")
    from peft import LoraConfig, inject_adapter_in_model

    settings = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, target_modules=list(options.layers) or None, lora_dropout=0.0
    )
    try:
        model: Any = inject_adapter_in_model(settings, language_model.model)
    except ValueError as error:
        reason = str(error).partition("\n")[0].removesuffix(".")
        raise MelderError(
            f"method.lora.layers: language model '{language_model.name}': {reason}; name linear layers of it"
        ) from None
    for name, parameter in model.named_parameters():
        if LORA in name:
            parameter.data = parameter.data.float()


def lora_weights(language_model: LanguageModel) -> dict[str, Tensor]:
    """Its low-rank terms by name; none where it has none.

    Args:
        language_model: With or without them.

    Returns:
        By name.
    """
    return {name: tensor for name, tensor in language_model.model.state_dict().items() if LORA in name}


def check_lora_readable(language_model: LanguageModel, folder: Path) -> None:
    """Write the terms to a file in `folder`, read them back and compare, since a training without would be lost.

    Args:
        language_model: With them.
        folder: Where it is tried.

    Raises:
        MelderError: They cannot be written there, or are others when they are read.
    """
    weights = lora_weights(language_model)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".lora-") as name:
            file = Path(name) / "lora.safetensors"
            write_tensors(file, weights)
            again = load_file(file)
    except OSError as error:
        raise MelderError(f"{folder}: no weights can be written there ({error.strerror or error}); make room") from None
    if again.keys() != weights.keys() or not all(torch.equal(again[name], weights[name].cpu()) for name in again):
        raise MelderError(
            f"method.lora: weights for '{language_model.name}' are others when read back; leave out method.lora"
        )
