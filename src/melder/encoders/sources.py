"""Where a model comes from: a directory, a directory inside an installed package, or a name on the hub.

Only a hub name may touch the network; the other two are read with `local_files_only=True`, and so is a hub name where
there is no network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from transformers.utils import logging

from melder.io.hub import reaches_hub
from melder.records import MelderError

__all__ = ["ModelSource", "describes_model", "find_source", "package_folders", "reading"]

FORMS = "a directory with a config.json, python:<package>, or a hub name such as organisation/model"
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_PACKAGE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class ModelSource:
    """A model's name.

    Args:
        name: a path, or a name on the hub
        local: whether everything about it must already be on this machine
    """

    name: str
    local: bool


def find_source(spec: str) -> ModelSource:
    """The source that `spec` means; a directory wins over a hub name.

    Args:
        spec: a directory, `python:PACKAGE`, or a name on the hub

    Returns:
        the source

    Raises:
        MelderError: Anything else.
    """
    if spec.startswith("python:"):
        return ModelSource(str(_in_package(spec.removeprefix("python:"))), local=True)
    path = Path(spec).expanduser()
    if path.is_dir():
        if not any((path / name).is_file() for name in ("config.json", "modules.json")):
            raise MelderError(f"model directory '{spec}' holds no config.json: a model is {FORMS}")
        return ModelSource(str(path), local=True)
    if not _HUB_NAME.fullmatch(spec):
        raise MelderError(f"no model directory '{spec}': a model is {FORMS}; only a hub name is downloaded")
    return ModelSource(spec, local=not reaches_hub())


@contextmanager
def reading(source: ModelSource, what: str = "") -> Iterator[None]:
    """Turn what transformers raises when a model cannot be read into one line.

    Its progress bars show for downloads only: a local model is there in a moment. A damaged or foreign directory makes
    transformers fail in any way it can, so every exception is one about the model.

    Args:
        source: which a message names
        what: fails, where it is not the reading itself

    Yields:
        nothing

    Raises:
        MelderError: Whatever was raised inside.
    """
    shown = logging.is_progress_bar_enabled()
    try:
        if source.local:
            logging.disable_progress_bar()
        yield
    except MelderError:
        raise
    except Exception as error:
        looked = "" if Path(source.name).exists() else "there is no such directory, and of the hub: "
        reason = f"{what}: {_reason(error)}" if what else _reason(error)
        raise MelderError(f"cannot read model '{source.name}' ({looked}{reason}): a model is {FORMS}") from error
    finally:
        if shown:
            logging.enable_progress_bar()


def _reason(error: Exception) -> str:
    """The first line of what went wrong, in words that a user of Melder can act on."""
    text = str(error).strip()
    if "trust_remote_code" in text:
        return "it needs code of its own, which its auto_map names and which is never run; use one that needs none"
    if "timm" in text and "install" in text:
        return "it is a checkpoint of timm, which itself needs torchvision; install melder[timm]"
    if "orchvision" in text:
        return "its image processor exists only in a form that needs torchvision; install torchvision"
    return text.partition("\n")[0] or type(error).__name__


def package_folders(package: str) -> list[Path]:
    """The folders of an installed package, which is not imported.

    Args:
        package: its name, dotted

    Returns:
        directories; none of a package that is a single file

    Raises:
        MelderError: There is no such package.
    """
    spec = find_spec(package) if _PACKAGE.fullmatch(package) and _importable_parent(package) else None
    if spec is None:
        raise MelderError(f"no package '{package}' is installed here: install it, or name a model as {FORMS}")
    return [Path(folder) for folder in spec.submodule_search_locations or ()]


def _in_package(package: str) -> Path:
    """The shallowest folder of an installed package whose config.json describes a model."""
    folders = package_folders(package)
    configs = [config for folder in folders for config in folder.rglob("config.json")]
    for config in sorted(configs, key=lambda path: (len(path.parts), path)):
        if describes_model(config):
            return config.parent
    raise MelderError(f"package '{package}' holds no model (no config.json with a model_type): name {FORMS}")


def _importable_parent(package: str) -> bool:
    """`find_spec` raises, rather than returning None, when a dotted name's parent is not there."""
    parent = package.rpartition(".")[0]
    return not parent or (_importable_parent(parent) and find_spec(parent) is not None)


def describes_model(config: Path) -> bool:
    """Whether a config.json is one of a model of transformers.

    Args:
        config: the file

    Returns:
        whether it has a `model_type`
    """
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and "model_type" in content
