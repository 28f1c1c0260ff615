"""The one way by which anything of a published or saved model is read: `from_pretrained`, without its risks.

No code that comes with a model is run (`auto_map`, kernels that a configuration names), nobody is asked whether to,
only safetensors weights are opened, and a source that is on this machine never reaches the network.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer
from transformers.utils import cached_file

from melder.encoders.sources import ModelSource, reading
from melder.records import MelderError

__all__ = ["find_file", "new_model", "read_config", "read_gguf", "read_model", "read_processor", "read_tokenizer"]

Model = Any  # transformers ships no types
NUMBERS = {"size", "image_mean", "image_std", "rescale_factor"}  # of how pictures are prepared


def read_model(
    auto: Any, source: ModelSource, *, dtype: torch.dtype = torch.float32, config: Any = None
) -> tuple[Model, dict[str, Any]]:
    """The model of a source with its weights, and transformers' report of what was loaded.

    Args:
        auto: a class of transformers with `from_pretrained`, such as `AutoModel`
        source: where the model is
        dtype: of its weights
        config: what `read_config` gave of the source, perhaps changed; None reads it

    Returns:
        the model, and a mapping with `missing_keys` and `unexpected_keys`, names of weights

    Raises:
        MelderError: the model cannot be read, or only with code of its own
    """
    config = read_config(source) if config is None else config
    options = {"config": config, "use_safetensors": True, "dtype": dtype, "output_loading_info": True}
    with reading(source):
        model, report = auto.from_pretrained(
            source.name, local_files_only=source.local, trust_remote_code=False, **options
        )
    return model, report


def read_gguf(auto: Any, file: Path, *, dtype: torch.dtype = torch.float32) -> tuple[Model, Any]:
    """The model of a GGUF file on this machine, and the tokenizer in it.

    Args:
        auto: a class of transformers with `from_pretrained`, such as `AutoModelForCausalLM`
        file: the GGUF file
        dtype: of the weights, which are plain numbers afterwards

    Returns:
        both
    """
    place, name = str(file.parent), file.name
    with reading(ModelSource(str(file), local=True)):
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name, local_files_only=True, trust_remote_code=False)
        model = auto.from_pretrained(place, gguf_file=name, local_files_only=True, trust_remote_code=False, dtype=dtype)
    return model, tokenizer


def new_model(auto: Any, config: Any, source: ModelSource) -> Model:
    """A model with random weights, in float32 and evaluation mode, as a configuration read from `source` has it.

    Args:
        auto: a class of transformers with `from_config`
        config: of transformers
        source: for messages

    Returns:
        the model

    Raises:
        MelderError: It cannot be built.
    """
    with reading(source):
        return auto.from_config(config, trust_remote_code=False, dtype=torch.float32).eval()


def read_config(source: ModelSource, kind: Any = AutoConfig) -> Any:
    """The configuration of a source.

    Args:
        source: where the model is
        kind: a class of transformers with `from_pretrained`

    Returns:
        of transformers

    Raises:
        MelderError: It cannot be read, or asks for code from a hub.
    """
    with reading(source):
        config = kind.from_pretrained(source.name, local_files_only=source.local, trust_remote_code=False)
    for kernel in _kernels(config):
        raise MelderError(
            f"model '{source.name}': its configuration asks for the kernel '{kernel}', code from a hub, which is never "
            "run here; take attn_implementation out of its config.json"
        )
    return config


def read_tokenizer(source: ModelSource) -> Any:
    """The tokenizer of a source.

    Args:
        source: where the model is

    Returns:
        of transformers

    Raises:
        MelderError: It cannot be read.
    """
    with reading(source):
        return AutoTokenizer.from_pretrained(source.name, local_files_only=source.local, trust_remote_code=False)


def read_processor(source: ModelSource) -> Any:
    """The image processor of a source, in its form that needs Pillow only.

    Some have no such form (DINOv3's, TIPS's). What is needed of those are numbers, which stand in their file: without
    torchvision they are read from there.

    Args:
        source: where the model is

    Returns:
        of transformers

    Raises:
        MelderError: It cannot be read.
    """
    with reading(source):
        try:
            return AutoImageProcessor.from_pretrained(
                source.name, local_files_only=source.local, trust_remote_code=False, backend="pil"
            )
        except (ImportError, ValueError) as error:
            if "torchvision" not in str(error):
                raise
            file = find_file(source, "preprocessor_config.json")
            content = {} if file is None else json.loads(file.read_text(encoding="utf-8"))
            if not content.keys() >= NUMBERS:
                raise
            return SimpleNamespace(**{"do_rescale": True, "do_normalize": True, **content})


def find_file(source: ModelSource, name: str) -> Path | None:
    """A further file of a source, on this machine after the call; None when the source does not have it.

    Args:
        source: where the model is
        name: relative to the model's directory

    Returns:
        its path

    Raises:
        MelderError: The model cannot be read.
    """
    with reading(source):
        file = cached_file(
            source.name, name, local_files_only=source.local, _raise_exceptions_for_missing_entries=False
        )
    return None if file is None else Path(file)


def _kernels(config: Any) -> list[str]:
    """Attention implementations that name a repository, those of the parts of a joint model included."""
    parts = [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", {}))]
    named = [getattr(part, "_attn_implementation", None) for part in parts]
    return [name for name in named if isinstance(name, str) and "/" in name]
