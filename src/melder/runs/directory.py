"""The directory that a training leaves behind: everything that linking with it needs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any, Protocol

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

import melder
from melder.encoders import Towers, load_encoder
from melder.io.atomic import replace_file
from melder.io.tensors import write_tensors
from melder.io.versions import VERSIONS, check_version
from melder.methods import METHODS, build_matcher
from melder.records import MelderError
from melder.runs.configuration_file import checked, override, read_yaml
from melder.runs.finite import check_weights
from melder.runs.model import Model
from melder.runs.model_configuration import ModelConfiguration
from melder.runs.rerank_configuration import method_changes

__all__ = [
    "ENVIRONMENT",
    "SCHEMA",
    "StoredModel",
    "is_finished_run",
    "open_model",
    "open_run",
    "read_configuration",
    "run_device",
    "seed_of",
    "versions",
    "write_json",
    "write_run",
]

SCHEMA = VERSIONS["run"].current
ENVIRONMENT = "environment.json"  # versions and the machine
# Settings of methods, and of encoders, that runs lack which were written before there were these.
EARLIER = {"lexical_part": 0.0, "lexical_fold": False, "pictures": 1}
EARLIER_ENCODER = {"context": "beginning"}


class StoredModel(Protocol):
    """What a run is written of: an encoder and what the method learned; fulfilled by `Model` and `Gemel`."""

    encoder: Towers

    def weights(self) -> Mapping[str, Tensor]:
        """The state that only the run has, for `model.safetensors`."""
        ...

    def save(self, directory: Path) -> None:
        """Write what is no weight, beside it."""
        ...


def write_run(directory: Path, model: StoredModel, configuration: dict[str, Any]) -> None:
    """Write model, configuration and environment; `metrics.json` is written by whoever evaluates.

    Args:
        directory: Made where it is missing.
        model: Encoder and method.
        configuration: As it is written to config.yaml.
    """
    directory.mkdir(parents=True, exist_ok=True)
    model.encoder.save(directory / "encoder")
    write_tensors(directory / "model.safetensors", model.weights())
    model.save(directory)
    replace_file(directory / "config.yaml", yaml.safe_dump(configuration, sort_keys=False).encode())
    write_json(directory / ENVIRONMENT, {"schema": SCHEMA, **versions()})  # the last: it ends the run


def is_finished_run(directory: Path) -> bool:
    """Whether a training of a directory has ended; one that was stopped leaves no environment file.

    Args:
        directory: Of a run, or anything else.

    Returns:
        Whether its model can be opened.
    """
    return (directory / ENVIRONMENT).is_file()


def open_run(
    directory: Path, changes: Sequence[str] = (), device: str | None = None
) -> tuple[Model, ModelConfiguration]:
    """The model of a run and the configuration it was trained with.

    Args:
        directory: Of the run.
        changes: `method.key=value` settings in the place of those of the run, such as method.assignment=attention.
        device: As PyTorch calls it, such as cpu, cuda or cuda:1; None = a GPU where there is one.

    Returns:
        Both; the model is in evaluation mode.

    Raises:
        MelderError: There is no such device, the directory is no run, or one of another schema version, or when the
            weights do not fit the changes.
    """
    configuration = read_configuration(directory, changes)
    encoder = load_encoder(directory / "encoder")
    matcher = build_matcher(configuration.method, encoder.sizes)
    model = Model(encoder, matcher, configuration.encoder.precision)
    try:
        model.load_state_dict(load_file(directory / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = shorten(str(error), 200, placeholder=" …")
        if changes:
            raise MelderError(f"{directory}: its weights do not fit {', '.join(changes)} ({reason})") from None
        raise MelderError(f"{directory / 'model.safetensors'}: cannot be loaded ({reason}); train again") from None
    check_weights(model, directory / "model.safetensors")
    return model.eval().to(run_device(device)), configuration


def open_model(run: str | Path) -> tuple[Model, frozenset[str]]:
    """The model of a run, and which modalities of an entity it reads.

    Args:
        run: The run's directory.

    Returns:
        Both, on a GPU where there is one.

    Raises:
        MelderError: The directory is no run, or is damaged.
    """
    model, configuration = open_run(Path(run))
    return model, frozenset(configuration.data.modalities)


def seed_of(directory: Path) -> int | None:
    """The seed that a run was trained with; None where none was needed.

    Args:
        directory: Of the run.

    Returns:
        The seed.

    Raises:
        MelderError: config.yaml cannot be read.
    """
    seed = (read_yaml(directory / "config.yaml").get("training") or {}).get("seed")
    return None if seed is None else int(seed)


def run_device(name: str | None = None) -> torch.device:
    """The device of a name. None = a GPU where there is one; Apple's is left alone, since some operations that matchers
    use are missing there.

    Args:
        name: As PyTorch calls it, such as cpu, cuda or cuda:1.

    Returns:
        The device.

    Raises:
        MelderError: There is none of this name here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = shorten(str(error).splitlines()[0], 100, placeholder=" …")
        raise MelderError(f"device {name!r}: is not to be had here ({reason}); leave it out, or name cpu") from None


def read_configuration(directory: Path, changes: Sequence[str] = ()) -> ModelConfiguration:
    """The data, encoder and method of a run, with changes of the method's settings; those of its second look are left
    be.

    Args:
        directory: Of the run.
        changes: `method.key=value` settings in the place of those of the run.

    Returns:
        What has to be known to open it.

    Raises:
        MelderError: It is no run, one of another schema version, or a change is none of the method's.
    """
    _check_schema(directory)
    changes = method_changes(changes)
    fixed = [each for each in changes if not each.startswith("method.") or each.startswith("method.name=")]
    if fixed:
        raise MelderError(
            f"{fixed[0]!r}: only settings of a run's method can be changed; write method.KEY=VALUE, or "
            "rerank.KEY=VALUE for a second look"
        )
    sections = override(_as_written(read_yaml(directory / "config.yaml")), changes)
    known = {name: value for name, value in sections.items() if name in ModelConfiguration.model_fields}
    return checked(ModelConfiguration, known, str(directory / "config.yaml"))


def _as_written(sections: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run with what an earlier Melder did where there was nothing to set yet."""
    if isinstance(sections.get("encoder"), dict):
        sections = sections | {"encoder": EARLIER_ENCODER | sections["encoder"]}
    section = sections.get("method")
    if not isinstance(section, dict) or str(section.get("name")) not in METHODS:
        return sections
    fields = METHODS.get(str(section["name"])).configuration.model_fields
    return sections | {"method": {key: value for key, value in EARLIER.items() if key in fields} | section}


def _check_schema(directory: Path) -> None:
    path = directory / ENVIRONMENT
    if not is_finished_run(directory):
        raise MelderError(f"{directory}: is no run ({ENVIRONMENT} is missing); make one with `melder train`")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema, writer = content.get("schema"), content.get("melder")
    except (ValueError, AttributeError):
        raise MelderError(f"{path}: is not valid JSON; train again") from None
    check_version("run", f"{path}, field 'schema'", schema, writer)


def versions() -> dict[str, str]:
    """Versions of Melder and of what numbers depend on, and the machine.

    Returns:
        By name.
    """
    installed = {name: version(name) for name in ("torch", "transformers", "lightning", "scikit-learn", "numpy")}
    machine = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads"
    return {"melder": melder.__version__, "python": platform.python_version(), **installed, "machine": machine}


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people: two spaces a level, UTF-8.

    Args:
        path: Of the file, whose directory is made.
        value: What JSON can hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())
