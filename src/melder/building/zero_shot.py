r"""The model of a knowledge base for which nothing was trained: an encoder as it is, calibrated on the entities.

    total = (z(text) + z(picture)) / 2 + w cos(names)

z is a cosine over its deviation between different entities, so that every kind of evidence has the same noise whatever
the encoder. Pictures are whitened first. By chance alone the luckiest of N unrelated entities is about w = √(2 ln N)
deviations ahead in one kind of evidence (of the mean of two, half as much): a name that is like the surface counts so
much, and one that it is all of counts twice that, so that noise does not overrule it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from melder.data import EntityFile, entity_items
from melder.encoders import build_encoder, check_readable, from_scratch
from melder.features import Features, Side, concatenate
from melder.io.atomic import writing
from melder.io.checksums import digest_of
from melder.io.problems import Problems
from melder.kb.manifest import MODEL
from melder.methods import build_matcher, method_of
from melder.methods.clip import CLIPConfiguration
from melder.protocols import Counting, Matcher, Unit
from melder.records import Entity, MelderError
from melder.runs.directory import write_run
from melder.runs.model import CHUNK, Model, answering
from melder.runs.model_configuration import DataConfiguration, EncoderConfiguration, ModelConfiguration

__all__ = ["ZERO_SHOT", "name_weight", "write_zero_shot"]

TRIED = 4  # entities by which an encoder is tried: whether it can be read again
SAMPLE = 2048  # entities that the model is fitted on: their pairs say how alike unrelated ones look to an encoder
FEW = 16  # entities that a knowledge base is taken to have at least, since more may be added

ZERO_SHOT = CLIPConfiguration(temperature=1.0, lexical_part=0.7, lexical_exact=1.0, whiten=("image",), calibrated=True)


def write_zero_shot(directory: Path, spec: str, source: EntityFile, count: int, counting: Counting) -> None:
    """Write a run of the encoder `spec` as it is, fitted on the names of all `count` entities and features of some.

    Where a text or a picture is missing, the score is that of unrelated ones: the mean over pairs of entities.

    Args:
        directory: Of the knowledge base, where the run becomes `model`.
        spec: Of an encoder.
        source: Of the entities.
        count: How many there are.
        counting: Starts a progress bar with a title and a total.

    Raises:
        MelderError: The encoder knows nothing before it is trained, or could not be read again.
    """
    if from_scratch(spec):
        raise MelderError(f"--encoder {spec}: it knows nothing before it is trained; name a trained encoder")
    options = EncoderConfiguration(name=spec)
    encoder = build_encoder(spec, text_length=options.text_length)
    model = Model(encoder, build_matcher(ZERO_SHOT, encoder.sizes)).eval()
    sample = _sample(source)
    check_readable(encoder, entity_items(sample[:TRIED], source, encoder.separator), directory)
    _fit(model, source, sample, count, counting)
    where = DataConfiguration(directory=source.path.parent)
    configuration = ModelConfiguration(data=where, encoder=options, method=ZERO_SHOT)
    with writing(directory / MODEL) as part:
        write_run(part, model, configuration.model_dump(mode="json"))


def name_weight(entities: int) -> float:
    """What a name that is like the surface counts, in deviations of one kind of evidence: √(2 ln N) for N entities.

    Args:
        entities: How many there are.

    Returns:
        The weight.
    """
    return math.sqrt(2 * math.log(max(entities, FEW)))


def _fit(model: Model, source: EntityFile, sample: Sequence[Entity], count: int, counting: Counting) -> None:
    matcher, fit = model.matcher, method_of(ZERO_SHOT).fitting(ZERO_SHOT)
    features = _global_features(model, source, sample, counting)
    assert fit is not None
    with torch.no_grad():
        fit(matcher, features)
        _fit_names(matcher, source, count)
        _fit_absent(matcher, features)


def _fit_names(matcher: Matcher, source: EntityFile, count: int) -> None:
    lexical = matcher.lexical
    assert lexical is not None
    lexical.fit(name for _, entity in source.entities(Problems()) for name in entity.names)
    lexical.set_weight(name_weight(count) / len(matcher.units_in_use()))


def _fit_absent(matcher: Matcher, features: Features) -> None:
    """Set each unit's constant to its mean score over pairs of different entities that have what it compares."""
    with answering(matcher):
        side = matcher.entity_side(features)
        for name, unit in matcher.units_in_use():
            unit.absent.constant.copy_(_mean_of_pairs(unit, side.part(name)))  # type: ignore[attr-defined]


def _mean_of_pairs(unit: Unit, side: Side) -> Tensor:
    """Of the present ones, each with every other; 0 when there are fewer than two."""
    scores, present = unit.score(side, side), side["present"]
    pairs = present[:, None] & present[None] & ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores[pairs].mean() if bool(pairs.any()) else scores.new_zeros(())


def _global_features(model: Model, source: EntityFile, sample: Sequence[Entity], counting: Counting) -> Features:
    """Of the sample, without the tokens; on the matcher's device. Unreadable pictures are missing: the build tells."""
    items = entity_items(sample, source, model.encoder.separator)
    progress, model.encoder.on_unreadable = counting("looking at a sample", len(items)), lambda item, error: None

    def chunks() -> Iterator[Features]:
        for start in range(0, len(items), CHUNK):
            features = model.features(items[start : start + CHUNK])
            yield _without_tokens(features)
            progress(len(features))

    every = concatenate(list(chunks()))
    model.encoder.on_unreadable = None
    return every.to(model.device)


def _without_tokens(features: Features) -> Features:
    """Global vectors of texts and first pictures, and one token for each text, valid where there is one."""
    return replace(
        features,
        text_tokens=features.text_tokens[:, :1],
        text_mask=features.has_text[:, None],
        image_tokens=None if features.image_tokens is None else features.image_tokens[:, :1],
        surfaces=None,
        further=None,
    )


def _sample(source: EntityFile) -> Sequence[Entity]:
    """Entities that do not depend on the order of the file, in no order that anybody chose."""
    entities = (entity for _, entity in source.entities(Problems()))
    return heapq.nsmallest(SAMPLE, entities, key=lambda entity: digest_of(entity.id.encode()))
