"""The run inside a knowledge base: a trained one that is copied, or one for which nothing was trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from melder.data import EntityFile, entity_items
from melder.encoders import build_encoder, check_readable, from_scratch
from melder.io.atomic import writing
from melder.io.checksums import WholeFile
from melder.io.problems import Problems
from melder.kb.manifest import MODEL, Identity
from melder.methods import build_matcher, method_of
from melder.methods.clip import CLIPConfiguration
from melder.records import Entity, MelderError
from melder.runs.directory import read_configuration, write_run
from melder.runs.model import Model, answering
from melder.runs.model_configuration import DataConfiguration, EncoderConfiguration, ModelConfiguration

__all__ = ["ZERO_SHOT", "copy_run", "identity_of", "write_zero_shot"]

NEEDED = ("config.yaml", "environment.json", "model.safetensors", "encoder")  # of a run, for linking
TOLD = ("metrics.json", "trained_on.json", "nil.json")  # what more can be said with, where it is there
TRIED = 4  # entities by which an encoder is tried: whether it can be read again
SAMPLE = 256  # entities whose pairs say how alike unrelated ones look to an encoder

# total = (cos(text) + cos(picture)) / (2 * 0.07) + 3.6 * cosine of the names' n-grams: names weigh half of what texts
# do, which was best for texts of WikiMEL and RichpediaMEL; the temperature only scales the total.
ZERO_SHOT = CLIPConfiguration()


def copy_run(run: Path, directory: Path) -> None:
    """Copy what linking needs of a run into the knowledge base `directory`."""
    configuration = read_configuration(run)
    if not method_of(configuration.method).compares:
        raise MelderError(
            f"{run}: its method writes names and has no sides to store; build the knowledge base with --encoder or "
            f"with a method that compares, and link to it with `melder link {run} --data KB`"
        )
    with writing(directory / MODEL) as part:
        for name in _files(run):
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(run / name, part / name)


def write_zero_shot(directory: Path, spec: str, source: EntityFile) -> None:
    """Write a run of the encoder `spec` as it is, with the lexical unit fitted on the names of the entities.

    Where a text or a picture is missing, the score is that of unrelated ones: the mean over pairs of entities.
    """
    if from_scratch(spec):
        raise MelderError(f"--encoder {spec}: it knows nothing before it is trained; name a trained encoder")
    options = EncoderConfiguration(name=spec)
    encoder = build_encoder(spec, text_length=options.text_length)
    matcher = build_matcher(ZERO_SHOT, encoder.sizes)
    assert matcher.lexical is not None
    matcher.lexical.fit(name for _, entity in source.entities(Problems()) for name in entity.names)
    model = Model(encoder, matcher).eval()
    check_readable(encoder, entity_items(_sample(source)[:TRIED], source, encoder.separator), directory)
    _fit_absent(model, source)
    where = DataConfiguration(directory=source.path.parent)
    configuration = ModelConfiguration(data=where, encoder=options, method=ZERO_SHOT)
    with writing(directory / MODEL) as part:
        write_run(part, model, configuration.model_dump(mode="json"))


def identity_of(run: Path) -> Identity:
    """The method, the encoder and the files of a run."""
    configuration = read_configuration(run)
    return Identity(
        method=str(configuration.method.name),  # type: ignore[attr-defined]
        encoder=configuration.encoder.name,
        files={name: WholeFile.of(run / name) for name in _files(run)},
    )


def _files(run: Path) -> list[str]:
    paths = [each for name in (*NEEDED, *TOLD) for each in (run / name, *(run / name).rglob("*"))]
    return sorted(path.relative_to(run).as_posix() for path in paths if path.is_file())


def _fit_absent(model: Model, source: EntityFile) -> None:
    """Set each unit's constant to its mean score over pairs of different entities, half with a picture each."""
    entities = _sample(source)
    model.encoder.on_unreadable = lambda item, error: None  # the build tells of them
    pictures = model.matcher.pictures
    side = model.entity_side(entity_items(entities, source, model.encoder.separator, pictures=pictures))
    model.encoder.on_unreadable = None
    with answering(model.matcher) as matcher:
        parts = matcher.score(side, side).parts
        for name, unit in matcher.units_in_use():
            present = side[f"{name}.present"]
            unit.absent.constant.copy_(_mean_of_pairs(parts[name], present))  # type: ignore[attr-defined]


def _sample(source: EntityFile) -> Sequence[Entity]:
    found = []
    for _, entity in source.entities(Problems()):
        found.append(entity)
        if len(found) == SAMPLE:
            break
    return found


def _mean_of_pairs(scores: Tensor, present: Tensor) -> Tensor:
    """Of the present ones, each with every other; 0 when there are fewer than two."""
    pairs = present[:, None] & present[None] & ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores[pairs].mean() if bool(pairs.any()) else scores.new_zeros(())
