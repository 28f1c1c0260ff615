"""Whether an encoder can be read again once it is saved: found out before a training, not after it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from melder.encoders.resolver import load_encoder
from melder.encoders.towers import Towers
from melder.features import Features
from melder.io.tensors import write_tensors
from melder.records import Item, MelderError

__all__ = ["check_readable"]

TOLERANCE = 1e-4  # of features of length one, and of tokens relatively: libraries may choose other kernels for a copy


def check_readable(encoder: Towers, items: Sequence[Item], folder: Path) -> None:
    """Save an encoder, read it back in full, and compare what both make of a batch.

    Args:
        encoder: as a run is about to train and save it
        items: the batch; a picture that cannot be read counts as missing
        folder: what is written goes into a new directory there, which is removed again

    Raises:
        MelderError: it cannot be saved or read, or is another one then
    """
    items = items or [Item("text")]
    before = _features(encoder, items)
    # The copy starts with random weights: what is drawn for them must not change what the training draws.
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory(dir=folder, prefix=".encoder-") as name:
        try:
            again = _saved_and_read(encoder, Path(name))
            after = _features(again.to(_device(encoder)), items)
        except OSError as error:
            raise MelderError(
                f"{folder}: no encoder can be written there ({error.strerror or error}); make room"
            ) from None
        except Exception as error:
            raise _unreadable(encoder, str(error).partition("\n")[0].removesuffix(".")) from error
        different = [name for name in before if not torch.allclose(before[name], after[name], TOLERANCE, TOLERANCE)]
        if different or again.sizes != encoder.sizes:
            raise _unreadable(encoder, f"read back, it makes other features: {', '.join(different)}")


def _saved_and_read(encoder: Towers, directory: Path) -> Towers:
    encoder.save(directory)
    tensors = encoder.state_dict()
    if tensors:
        write_tensors(directory / "model.safetensors", tensors)
    again = load_encoder(directory)
    again.load_state_dict(load_file(directory / "model.safetensors") if tensors else {})
    return again


def _features(encoder: Towers, items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """What the encoder makes of items in evaluation mode, which is then left as it was."""
    told, modes = encoder.on_unreadable, {module: module.training for module in encoder.modules()}
    encoder.on_unreadable = lambda item, error: None  # whoever reads all of them tells of it
    encoder.eval()
    try:
        inputs = {name: tensor.to(_device(encoder)) for name, tensor in encoder.prepare(items).items()}
        with torch.no_grad():
            features: Features = encoder(inputs)
        return {name: tensor.float().nan_to_num() for name, tensor in features.tensors().items()}
    finally:
        for module, mode in modes.items():
            module.training = mode
        encoder.on_unreadable = told


def _device(encoder: Towers) -> torch.device:
    return next((tensor.device for tensor in encoder.state_dict().values()), torch.device("cpu"))


def _unreadable(encoder: Towers, reason: str) -> MelderError:
    return MelderError(
        f"encoder '{encoder.spec}' could not be read again from a run ({reason}); use another model, since a training "
        "with this one would be lost"
    )
