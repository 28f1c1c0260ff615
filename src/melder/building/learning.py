"""Learning from labelled mentions without training: they become exemplars of the entities that they meant.

A mention is known by its surface, its text, where it stands there, and its picture. The same mention again changes
nothing; with another answer it is a correction, and the last word counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from melder.features import Side
from melder.kb import KnowledgeBase, Writer, open_knowledge_base
from melder.kb.exemplars import ExemplarRecord, Exemplars, dead_rows, join_exemplars, read_exemplars
from melder.records import BadData, BadRecord, Item, Mention, Picture
from melder.runs.model import CHUNK, Model, mention_side_of, score_blocks
from melder.search.entity_store import EntityStore
from melder.search.exemplars.memory import global_vectors

__all__ = ["Labelled", "Learned", "encode_exemplars", "forget", "learn", "mention_key", "unknown_answers", "with_new"]

Labelled = Sequence[tuple[Mention, Item]]  # mentions with answers, and what the encoder reads of them
PARTS = 16  # of exemplars, at most; then they are written as one
SAMPLE = 64  # entities whose scores say how far those of unrelated ones lie apart


@dataclass(frozen=True)
class Learned:
    """How many mentions are exemplars now that were none (`added`), that meant another entity (`corrected`), and that
    meant the same (`known`)."""

    added: int = 0
    corrected: int = 0
    known: int = 0


def mention_key(mention: Mention, item: Item) -> str:
    """What a mention is known by: 32 hexadecimal digits; of its first picture the contents count, not the name."""
    content = json.dumps([mention.surface, mention.text, mention.start, _picture(item.image)])
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def unknown_answers(mentions: Sequence[Mention], known: Container[str | None], file: str) -> list[BadRecord]:
    """What is wrong with the answers of mentions: one that is no entity's id. Null, none of these, teaches nothing."""
    return [
        BadRecord(
            file,
            0,
            "answer",
            f"mention {mention.id!r}: there is no entity {mention.answer!r}; correct the id",
        )
        for mention in mentions
        if mention.answer is not None and mention.answer not in known
    ]


def encode_exemplars(model: Model, source: EntityStore, labelled: Labelled) -> Exemplars:
    """Exemplars of mentions, float32: what the encoder makes of them, and how scores are scattered for each."""
    pieces, sample = list[Exemplars](), _sample(source)
    for start in range(0, len(labelled), CHUNK):
        chunk = labelled[start : start + CHUNK]
        features = model.features([item for _, item in chunk])
        records = [
            ExemplarRecord(key=mention_key(mention, item), entity=str(mention.answer), surface=mention.surface)
            for mention, item in chunk
        ]
        scale = _scatter(model, source, mention_side_of(model.matcher, [features]), sample)
        pieces.append(Exemplars(records, *global_vectors(features), scale))
    return join_exemplars(pieces)


def learn(directory: Path, labelled: Labelled, model: Model) -> Learned:
    """Make mentions with answers exemplars of a knowledge base, or of the shards of a set; all of them or none a shard.

    `model` is the knowledge base's own.

    Raises:
        BadData: An answer is no entity's id.
    """
    with open_knowledge_base(directory) as base:
        shards = [(shard.directory, _of_shard(shard, labelled)) for shard in base.shards or (base,)]
    known = {mention.answer for _, share in shards for mention, _ in share}
    if bad := unknown_answers([mention for mention, _ in labelled], known, str(directory)):
        raise BadData(bad)
    results = [_learn(path, share, model) for path, share in shards if share]
    return Learned(*(sum(getattr(result, count.name) for result in results) for count in fields(Learned)))


def forget(directory: Path, *, entities: Collection[str] | None = None, keys: Collection[str] | None = None) -> int:
    """Forget the exemplars of some entities, or of these keys; None = of any. Gives how many there were."""
    with open_knowledge_base(directory) as base:
        shards = [shard.directory for shard in base.shards or (base,)]

    def goes(record: ExemplarRecord) -> bool:
        return (entities is None or record.entity in entities) and (keys is None or record.key in keys)

    return sum(_forget(path, goes) for path in shards)


def _of_shard(base: KnowledgeBase, labelled: Labelled) -> Labelled:
    """Those whose entity is in it."""
    there = base.rows(list({str(mention.answer) for mention, _ in labelled}))
    return [(mention, item) for mention, item in labelled if mention.answer in there]


def with_new(before: Exemplars, labelled: Labelled, model: Model, source: EntityStore) -> tuple[Exemplars, Learned]:
    """Exemplars with those of more mentions, the last word of each mention, and how many of them were new."""
    new, corrected, result = _news(before, labelled)
    if not new:
        return before, result
    return join_exemplars([before.without(corrected), encode_exemplars(model, source, new)]), result


def _learn(directory: Path, labelled: Labelled, model: Model) -> Learned:
    with Writer.open(directory) as writer:
        new, corrected, result = _news(writer.base.exemplars, labelled)
        if not new:
            return result
        exemplars = encode_exemplars(model, writer.base, new)
        kept = dead_rows(directory, writer.base.generation.exemplars, lambda record: record.key in corrected)
        if len(kept) >= PARTS:
            exemplars, kept = join_exemplars([read_exemplars(directory, kept), exemplars]), ()
        writer.commit(exemplars=(*kept, writer.write_exemplars(exemplars)))
    return result


def _news(before: Exemplars, labelled: Labelled) -> tuple[Labelled, Collection[str], Learned]:
    """The mentions that say something new, and the keys of those that meant another entity before."""
    meant = {record.key: record.entity for record in before.records}
    last = {mention_key(mention, item): (mention, item) for mention, item in labelled}
    new = {key: pair for key, pair in last.items() if meant.get(key) != pair[0].answer}
    corrected = new.keys() & meant.keys()
    return list(new.values()), corrected, Learned(len(new) - len(corrected), len(corrected), len(labelled) - len(new))


def _forget(directory: Path, goes: Callable[[ExemplarRecord], bool]) -> int:
    with Writer.open(directory) as writer:
        before = writer.base.generation.exemplars
        after = dead_rows(directory, before, goes)
        gone = sum(listed.living for listed in before) - sum(listed.living for listed in after)
        if gone:
            writer.commit(exemplars=after)
    return gone


def _sample(source: EntityStore) -> Tensor:
    """Columns of some entities, evenly from all."""
    return torch.linspace(0, len(source) - 1, min(SAMPLE, len(source))).long()


def _scatter(model: Model, source: EntityStore, mentions: Side, sample: Tensor) -> Tensor:
    """[mentions], the standard deviation of the matcher's scores of some entities; 1 where they are all the same."""
    sides = source.side(sample).to(model.device)
    totals = torch.cat([scores.total for _, scores in score_blocks(model.matcher, mentions, sides)])
    deviation = totals.std(dim=1, correction=0)
    return torch.where(deviation > 0, deviation, torch.ones_like(deviation))


def _picture(image: Picture | None) -> str | None:
    """The digest of a picture, or its name where only its features are there."""
    if isinstance(image, Path) and not image.is_file():
        return image.name
    content = image.read_bytes() if isinstance(image, Path) else image
    return None if content is None else hashlib.blake2b(content, digest_size=16).hexdigest()
