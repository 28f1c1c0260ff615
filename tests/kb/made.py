"""Small knowledge bases without any model: sides of random numbers that only the entity's id decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from melder.features import Side, concatenate
from melder.io.atomic import sync
from melder.io.checksums import WholeFile
from melder.kb.format.codebook import Codebook
from melder.kb.format.learning_codebooks import learn_codebook
from melder.kb.format.packing import pack
from melder.kb.format.rounding import BITS, StorageDtype
from melder.kb.manifest import CODEBOOKS, SEGMENTS, CodebookEntry, Identity, KnowledgeBaseSettings, publish
from melder.kb.manifest import SegmentEntry as SegmentEntry
from melder.kb.segment import SegmentContents, write_segment
from melder.protocols import SideTensor
from melder.records import Entity
from melder.units.lexical import pack as pack_names

IDENTITY = Identity(method="none", encoder="none", files={})
WIDTH, LENGTH = 6, 8
DECLARED = {
    "text.query": SideTensor(tokens="text.mask"),
    "text.mask": SideTensor(tokens="text.mask"),
    "text.target": SideTensor(),
    "text.present": SideTensor(),
    "image.query": SideTensor(),
    "lexical.bucket": SideTensor(weights="lexical.gram"),
    "lexical.gram": SideTensor(weights="lexical.gram", rounded=False),
}


def entity(identity: str, name: str = "", aliases: Iterable[str] = (), images: Iterable[str] = ()) -> Entity:
    return Entity(id=identity, name=name or f"name of {identity}", aliases=tuple(aliases), images=tuple(images))


def side_of(entities: Iterable[Entity]) -> Side:
    """As a matcher's: tokens with a mask, a vector, names, and a number that is there or not."""
    return concatenate([_one(each) for each in entities])


def codebook_of(entities: list[Entity], kind: StorageDtype) -> Codebook | None:
    """Learned from all of them, if the kind needs one."""
    return learn_codebook(side_of(entities), DECLARED, BITS[kind]) if kind in BITS else None


def contents(
    entities: list[Entity], kind: StorageDtype = "float32", codebook: Codebook | None = None
) -> SegmentContents:
    side = side_of(entities)
    pictures = [
        ((row, number), name.encode()) for row, each in enumerate(entities) for number, name in enumerate(each.images)
    ]
    return SegmentContents(entities, pack(side, kind, DECLARED, codebook), pictures)


def build(directory: Path, *groups: list[Entity], kind: StorageDtype = "float32") -> None:
    """A knowledge base of a segment a group."""
    (directory / SEGMENTS).mkdir(parents=True)
    listed, entry = [], None
    if codebook := codebook_of([entity for group in groups for entity in group], kind):
        path = directory / CODEBOOKS / "0.safetensors"
        codebook.save(path)
        entry = CodebookEntry(name=path.name, file=WholeFile.of(path))
    for number, group in enumerate(groups):
        name = f"s-{number}"
        digest = write_segment(directory / SEGMENTS / name, contents(group, kind, codebook), kind)
        listed.append(SegmentEntry(name=name, rows=len(group), digest=digest))
    sync(directory)
    settings = KnowledgeBaseSettings(kind=kind, pictures="small", identity=IDENTITY, codebook=entry)
    publish(directory, 1, settings, tuple(listed))


def _one(each: Entity) -> Side:
    seed = int.from_bytes(hashlib.sha256(each.id.encode()).digest()[:4], "big")
    draw = torch.Generator().manual_seed(seed)
    length = 1 + seed % LENGTH

    def numbers(*shape: int) -> Tensor:
        return torch.randn(1, *shape, generator=draw)

    bucket, gram = pack_names([each.names], 1 << 10, torch.ones(1 << 10).numpy())
    return Side(
        {
            "text.query": numbers(LENGTH, WIDTH) * (torch.arange(LENGTH) < length)[None, :, None],
            "text.mask": (torch.arange(LENGTH) < length)[None],
            "text.target": numbers(WIDTH),
            "text.present": torch.tensor([seed % 5 > 0]),
            "image.query": numbers(3, WIDTH),
            "lexical.bucket": torch.from_numpy(bucket),
            "lexical.gram": torch.from_numpy(gram),
        }
    )
