"""The run inside a knowledge base: one that is copied, or what `melder.building.zero_shot` writes."""

from __future__ import annotations

import shutil
from pathlib import Path

from melder.io.atomic import writing
from melder.io.checksums import WholeFile
from melder.kb.manifest import MODEL, Identity
from melder.methods import method_of
from melder.records import MelderError
from melder.runs.directory import read_configuration

__all__ = ["OPTIONAL_FILES", "copy_model", "copy_run", "identity_of"]

NEEDED = ("config.yaml", "environment.json", "model.safetensors", "encoder")  # of a run, for linking
# What linking reads too, or tells, where it is there.
OPTIONAL_FILES = ("metrics.json", "trained_on.json", "nil.json", "prior.json", "rerank")


def copy_run(run: Path, directory: Path) -> None:
    """Copy what linking needs of a run into the knowledge base `directory`.

    Args:
        run: Where the model is.
        directory: That of the knowledge base.

    Raises:
        MelderError: It is no run, or not a finished one.
    """
    configuration = read_configuration(run)
    if not method_of(configuration.method).compares:
        raise MelderError(
            f"{run}: its method writes names and has no sides to store; build the knowledge base with --encoder or "
            f"with a method that compares, and link to it with `melder link {run} --data KB`"
        )
    copy_model(run, directory / MODEL)


def copy_model(run: Path, out: Path) -> None:
    """Copy what linking needs of a run.

    Args:
        run: A finished one.
        out: A new directory, which then is a run too.
    """
    with writing(out) as part:
        for name in _files(run):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, part / name)


def identity_of(run: Path) -> Identity:
    """The method, the encoder and the files of a run.

    Args:
        run: A finished one.

    Returns:
        With what sides are made.
    """
    configuration = read_configuration(run)
    return Identity(
        method=str(configuration.method.name),  # type: ignore[attr-defined]
        encoder=configuration.encoder.name,
        files={name: WholeFile.of(run / name) for name in _files(run)},
    )


def _files(run: Path) -> list[str]:
    paths = [each for name in (*NEEDED, *OPTIONAL_FILES) for each in (run / name, *(run / name).rglob("*"))]
    return sorted(path.relative_to(run).as_posix() for path in paths if path.is_file())
