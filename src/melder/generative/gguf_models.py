"""Language models in GGUF files: found by their file, or inside an installed package, and read as any other.

Such a file holds weights with few bits, the tokenizer and the chat template. transformers turns the weights into plain
numbers, which takes a while; a run keeps the outcome as safetensors, so that it is done once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from melder.encoders import pretrained
from melder.encoders.sources import ModelSource, describes_model, package_folders, reading
from melder.records import MelderError

__all__ = ["find_gguf", "keep_gguf", "read_gguf"]

MAGIC = b"GGUF"
MEBIBYTE = 1 << 20
FINISHED = "finished"  # the file in a kept model that says of which GGUF file it is


def find_gguf(spec: str) -> Path | None:
    """The GGUF file that `spec` means: `gguf:FILE`, or the only one of a package or directory without another model.

    Args:
        spec: `gguf:FILE`, a package, a directory, or anything else.

    Returns:
        The file; None where `spec` means a model in another form, or nothing.

    Raises:
        MelderError: It is not there or no GGUF file, or there are several to choose from.
    """
    if spec.startswith("gguf:"):
        return _checked(Path(spec.removeprefix("gguf:")).expanduser())
    package = spec.startswith("python:")
    folders = package_folders(spec.removeprefix("python:")) if package else [Path(spec).expanduser()]
    folders = [folder for folder in folders if folder.is_dir()]
    if any(describes_model(config) for folder in folders for config in folder.rglob("config.json")):
        return None
    files = sorted(file for folder in folders for file in folder.rglob("*.gguf"))
    if len(files) > 1:
        raise MelderError(f"'{spec}' holds several GGUF files; name one, as gguf:{files[0]}")
    return _checked(files[0]) if files else None


def read_gguf(file: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model of a GGUF file with weights of this type, and its tokenizer.

    Args:
        file: Of the model.
        dtype: Of its weights.

    Returns:
        Both of transformers.

    Raises:
        MelderError: It cannot be read, or what reads it is not installed.
    """
    missing = [package for package in ("gguf", "accelerate") if find_spec(package) is None]
    if missing:
        raise MelderError(f"GGUF files need {' and '.join(missing)}, not installed here; pip install 'melder[gguf]'")
    model, tokenizer = pretrained.read_gguf(AutoModelForCausalLM, file, dtype=dtype)
    # The weights are plain numbers now; transformers still takes them for quantised, and would not save them.
    model.hf_quantizer = None
    vars(model.config).pop("quantization_config", None)
    return model, tokenizer


def keep_gguf(file: Path, directory: Path) -> ModelSource | None:
    """The model of a GGUF file in `directory` as float32 safetensors, written there if it is not there yet.

    Args:
        file: Of the model.
        directory: Where it is kept.

    Returns:
        Where it is, or None where the directory cannot be written.
    """
    digest = _digest(file)
    finished = directory / FINISHED
    if not finished.is_file() or finished.read_text(encoding="utf-8") != digest:
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f"{directory.name}.part-", dir=directory.parent))
        except OSError:
            return None
        _write(file, part, digest, directory)
    return ModelSource(str(directory), local=True)


def _write(file: Path, part: Path, digest: str, directory: Path) -> None:
    """Make the directory whole at once; whoever else did so meanwhile has written the same."""
    try:
        model, tokenizer = read_gguf(file, torch.float32)
        with reading(ModelSource(str(file), local=True)):
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
        (part / FINISHED).write_text(digest, encoding="utf-8")
        shutil.rmtree(directory, ignore_errors=True)
        os.replace(part, directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _digest(file: Path) -> str:
    """Of a file of gigabytes: its size, its beginning (tokenizer, names and shapes) and its end."""
    size = file.stat().st_size
    with file.open("rb") as content:
        first = content.read(MEBIBYTE)
        content.seek(max(0, size - MEBIBYTE))
        return hashlib.sha256(f"{size} ".encode() + first + content.read()).hexdigest()


def _checked(file: Path) -> Path:
    try:
        with file.open("rb") as content:
            magic = content.read(len(MAGIC))
    except OSError as error:
        raise MelderError(f"language model '{file}': cannot be opened ({error.strerror}); name a GGUF file") from None
    if magic != MAGIC:
        raise MelderError(f"language model '{file}': is no GGUF file; name one, or a directory with a config.json")
    return file
