"""An encoder and a matcher together: from items to sides, and from sides to scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from melder.encoders import PictureMemory, Towers, encode_chunks
from melder.features import Features, Scores, Side, concatenate
from melder.protocols import Matcher, Precision, Progress
from melder.records import Item
from melder.runs.feature_cache import StoredFeatures
from melder.runs.finite import check_features, check_scores, check_side

__all__ = ["Model", "answering", "entity_side_of", "mention_side_of", "score_blocks"]

CHUNK = 256  # items that go through encoder and heads together
MENTIONS = 32  # mentions scored together; [MENTIONS, entities] scores are the most that is ever held


class Model(nn.Module):
    """What a run holds: an encoder and a matcher.

    Args:
        encoder: Of texts and pictures.
        matcher: Reads its features.
        precision: What the encoder computes in.
    """

    def __init__(self, encoder: Towers, matcher: Matcher, precision: Precision = "float32") -> None:
        super().__init__()
        self.encoder = encoder
        self.matcher = matcher
        self.precision: Precision = precision
        self.stored: StoredFeatures | None = None  # features that need not be computed
        self.memory: PictureMemory | None = None  # of pictures that may come again; only while weights do not change

    def features(self, items: Sequence[Item]) -> Features:
        """Features of the items, with their surfaces, without gradients: stored ones where they are there."""
        features = None if self.stored is None else self.stored.of(items)
        if features is None:
            (features,) = self._encoded([items])
        else:
            check_features(features, items)
        return features

    def entity_side(self, items: Sequence[Item], progress: Progress | None = None) -> Side:
        """Every entity's side, encoded a chunk at a time so that raw features are never held together."""
        return entity_side_of(self.matcher, self._chunks(items, progress))

    def mention_side(self, items: Sequence[Item]) -> Side:
        return mention_side_of(self.matcher, self._chunks(items, None))

    def weights(self) -> dict[str, Tensor]:
        """All of its state."""
        return dict(self.state_dict())

    def save(self, directory: Path) -> None:
        """There is nothing beside the encoder and the weights."""

    @property
    def device(self) -> torch.device:
        return next(self.matcher.parameters()).device

    def _chunks(self, items: Sequence[Item], progress: Progress | None) -> Iterator[Features]:
        chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
        encoded = self._encoded(chunks) if self.stored is None else map(self.features, chunks)
        for chunk, features in zip(chunks, encoded, strict=True):
            yield features
            if progress is not None:
                progress(len(chunk))

    def _encoded(self, chunks: Sequence[Sequence[Item]]) -> Iterator[Features]:
        """Features of each chunk, which are checked."""
        encoded = encode_chunks(
            self.encoder,
            chunks,
            batch_size=CHUNK,
            device=self.device,
            precision=self.precision,
            memory=self.memory,
        )
        for chunk, features in zip(chunks, encoded, strict=True):
            check_features(features, chunk)
            yield features


@contextmanager
def answering(matcher: Matcher) -> Iterator[Matcher]:
    """The matcher in evaluation mode and without gradients, put back afterwards.

    Args:
        matcher: In any mode.

    Yields:
        The same matcher.
    """
    training = matcher.training
    if training:
        matcher.eval()
    try:
        with torch.inference_mode():
            yield matcher
    finally:
        if training:
            matcher.train()


def mention_side_of(matcher: Matcher, chunks: Iterable[Features]) -> Side:
    """The side of mentions whose features come in chunks, on the matcher's device.

    Args:
        matcher: Whose side it is.
        chunks: At least one.

    Returns:
        Of all rows.

    Raises:
        MelderError: It is not all numbers.
    """
    device = next(matcher.parameters()).device
    with answering(matcher):
        return concatenate([check_side(matcher.mention_side(chunk.to(device))) for chunk in chunks])


def entity_side_of(matcher: Matcher, chunks: Iterable[Features]) -> Side:
    """The side of entities whose features come in chunks, on the matcher's device.

    Args:
        matcher: Whose side it is.
        chunks: At least one.

    Returns:
        Of all rows.

    Raises:
        MelderError: It is not all numbers.
    """
    device = next(matcher.parameters()).device
    with answering(matcher):
        return concatenate([check_side(matcher.entity_side(chunk.to(device))) for chunk in chunks])


def score_blocks(matcher: Matcher, mentions: Side, entities: Side) -> Iterator[tuple[slice, Scores]]:
    """Scores of all entities for a block of mentions at a time, on the CPU: the block's rows, and [block, entities].

    Args:
        matcher: Made both sides.
        mentions, entities: On its device.

    Yields:
        Blocks in the order of the mentions.

    Raises:
        MelderError: A total is no number.
    """
    for start in range(0, mentions.rows, MENTIONS):
        rows = slice(start, min(start + MENTIONS, mentions.rows))
        with answering(matcher):
            scores = matcher.score(mentions.take(rows), entities)
        yield rows, check_scores(scores.cpu())
