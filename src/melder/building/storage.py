"""How the sides of a knowledge base are stored: what is merged, and by which codebook."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from melder.data import MODALITIES, EntityFile, entity_items
from melder.features import Side
from melder.io.checksums import WholeFile
from melder.io.problems import Problems
from melder.kb.format.fewer_tokens import with_fewer_tokens
from melder.kb.format.learning_codebooks import learn_codebook
from melder.kb.format.packing import PackedSide, pack
from melder.kb.format.rounding import BITS
from melder.kb.manifest import CODEBOOKS, CodebookEntry, KnowledgeBaseSettings
from melder.protocols import Counting, SideTensor
from melder.records import Entity, Item
from melder.runs.directory import open_model

__all__ = ["packed", "with_codebook"]

LEAST, MOST = 256, 2048  # entities that a codebook is learned from: of M3EL's tokens 7,000 to 60,000
SHARE = 8  # between these one of so many, so that little is encoded twice


def packed(
    side: Side, settings: KnowledgeBaseSettings, declared: Mapping[str, SideTensor], directory: Path
) -> PackedSide:
    """What a segment of a knowledge base holds of a side.

    Args:
        side: The encoded entities of the segment, tensors [entities, …].
        settings: Of the knowledge base: how numbers are stored, how many tokens are left of a text or a picture, and
            which codebook there is.
        declared: How the store may hold each tensor, by the names that these have in the side.
        directory: The knowledge base, in which the codebook is.

    Returns:
        The arrays as they are written.

    Raises:
        MelderError: A tensor is not declared, or two arrays would have one name.
    """
    codebook = settings.codebook_file(directory)
    fewer = _fewer(side, settings, declared)
    return pack(fewer, settings.kind, declared, None if codebook is None else codebook.read())


def with_codebook(
    directory: Path, model: Path, source: EntityFile, settings: KnowledgeBaseSettings, count: int, counting: Counting
) -> KnowledgeBaseSettings:
    """The settings with the codebook that they need, if they need any.

    It is learned from entities evenly among the `count` of the source, unless a build that was stopped has left it. A
    picture of theirs that cannot be read counts as missing here; the build says so of every one.

    Args:
        directory: Where the knowledge base is built; the codebook is written there.
        model: The run that encodes the entities.
        source: The entities.
        settings: Of the knowledge base; only those that store residuals need a codebook.
        count: Entities in the source.
        counting: Starts a progress bar with a title and a total.

    Returns:
        The settings that name the codebook; the same settings where none is needed.
    """
    if settings.kind not in BITS:
        return settings
    digest = hashlib.sha256(settings.model_dump_json(exclude_defaults=True).encode()).hexdigest()
    path = directory / CODEBOOKS / f"{digest[:12]}.safetensors"
    if not path.is_file():
        opened, modalities = open_model(model)
        opened.encoder.on_unreadable = _ignore
        entities = list(_sample(source, count))
        pictures, separator = opened.matcher.pictures, opened.encoder.separator
        items = entity_items(entities, source, separator, modalities & MODALITIES, pictures=pictures)
        side = opened.entity_side(items, counting("learning a codebook", len(items)))
        declared = opened.matcher.entity_tensors
        learn_codebook(_fewer(side, settings, declared), declared, BITS[settings.kind]).save(path)
    return settings.model_copy(update={"codebook": CodebookEntry(name=path.name, file=WholeFile.of(path))})


def _fewer(side: Side, settings: KnowledgeBaseSettings, declared: Mapping[str, SideTensor]) -> Side:
    return side if settings.tokens is None else with_fewer_tokens(side, declared, settings.tokens)


def _sample(source: EntityFile, count: int) -> Iterator[Entity]:
    """Some of the good entities, evenly."""
    wanted = min(count, MOST, max(LEAST, count // SHARE))
    good = (entity for _, entity in source.entities(Problems()))
    return islice(good, 0, None, max(1, count // max(1, wanted)))


def _ignore(item: Item, error: Exception) -> None:
    """Said when the segment of the entity is encoded."""
