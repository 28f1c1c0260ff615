"""Names compared as strings: cosine of character n-grams between the surface and an entity's names.

Names alone decide most mentions, and no published matcher compares them as strings. The features are those of
scikit-learn's `TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)`, hashed into buckets so
that names never seen in training need no vocabulary. The best of an entity's names counts.

A surface is often a part of the name: "Jordan" is all of what "Michael Jordan" is called in a caption, yet as strings
it is nearer to "Jordanes". A surface that is one or more whole words of a name, in a row, therefore counts at least
`part`. Each such run of words is `HASHES` more hashed features, of weight 1 in a mention and together `part` in an
entity. Were it one, whoever has its bucket by chance would count as much: of 50,000 entities 0.7 a surface.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, islice

import numpy as np
import torch
from sklearn.feature_extraction.text import FeatureHasher, HashingVectorizer
from torch import Tensor, nn
from torch.nn import functional

from melder.features import Heads, Side

__all__ = ["Lexical"]

RUNS = 64  # runs of words that count of an entity's names: all of a name of ten words
HASHES = 3  # features of a run of words: strangers may share one of them, hardly ever two
PUNCTUATION = ".,;:!?()[]'\"’‘“”"

N_GRAMS = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()

Packed = tuple[np.ndarray, np.ndarray]  # buckets and weights


class Lexical(nn.Module):
    """A cosine in [0, 1] for each pair, and the learned non-negative `weight` with which it joins the total.

    Sides: `bucket` [n, A, G] int32 and `gram` [n, A, G], A names of G n-grams, padded with weight 0 (a mention has
    one name; with `part`, what is a part of a name is one more of an entity's names). Call `fit` on the names of the
    knowledge base once, before training; the inverse document frequencies are then part of the model.
    """

    inverse_frequency: Tensor

    def __init__(self, buckets: int = 2**18, initial_weight: float = 10.0, part: float = 0.0) -> None:
        super().__init__()
        self.buckets = buckets
        self.part = part
        self.log_weight = nn.Parameter(torch.tensor(math.log(initial_weight)))
        self.register_buffer("inverse_frequency", torch.ones(buckets))

    @property
    def weight(self) -> Tensor:
        return self.log_weight.exp()

    def fit(self, names: Iterable[str]) -> None:
        """Count in how many of n names each n-gram occurs: ln((1 + n) / (1 + count)) + 1, as scikit-learn does."""
        counts = _hash(list(names), self.buckets)
        occurrences = np.bincount(counts.indices, minlength=self.buckets)
        frequency = np.log((1 + counts.shape[0]) / (1 + occurrences)) + 1
        self.inverse_frequency.copy_(torch.from_numpy(frequency))

    def entity_side(self, heads: Heads) -> Side:
        names = _surfaces(heads)
        packed = self._pack(names)
        if self.part:
            bucket, count = _hashed([_runs(each) for each in names], self.buckets)
            packed = _joined(packed, (bucket, count.clip(max=1) * np.float32(self.part / HASHES)), axis=1)
        return _side(*packed, heads)

    def mention_side(self, heads: Heads) -> Side:
        surfaces = _surfaces(heads)
        packed = self._pack(surfaces)
        if self.part:
            packed = _joined(packed, _hashed([_whole(each) for each in surfaces], self.buckets), axis=2)
        return _side(*packed, heads)

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]: cosine of the best name."""
        rows, names, grams = entities["bucket"].shape
        table, place = _lookup(mentions, self.buckets)
        positions = place[entities["bucket"].view(-1, grams)]
        weights = entities["gram"].to(table.dtype).view(-1, grams)
        cosine = functional.embedding_bag(positions, table, per_sample_weights=weights, mode="sum")
        return cosine.view(rows, names, -1).amax(dim=1).t()

    def _pack(self, surfaces: Sequence[tuple[str, ...]]) -> Packed:
        return pack(surfaces, self.buckets, self.inverse_frequency.cpu().numpy())


def _surfaces(heads: Heads) -> Sequence[tuple[str, ...]]:
    return heads.surfaces if heads.surfaces is not None else [()] * len(heads)


def _side(buckets: np.ndarray, grams: np.ndarray, heads: Heads) -> Side:
    device = heads.text_global.device
    return Side({"bucket": torch.from_numpy(buckets).to(device), "gram": torch.from_numpy(grams).to(device)})


def pack(surfaces: Sequence[tuple[str, ...]], buckets: int, inverse_frequency: np.ndarray) -> Packed:
    """Buckets and L2-normalised TF-IDF weights of every name, padded: both [n, A, G]."""
    flat = [name for names in surfaces for name in names]
    counts = _hash(flat, buckets)
    weights = (1 + np.log(counts.data)) * inverse_frequency[counts.indices]
    lengths = np.diff(counts.indptr)
    row = np.repeat(np.arange(len(flat)), lengths)
    norms = np.sqrt(np.bincount(row, weights**2, minlength=max(1, len(flat))))
    column = np.arange(len(counts.indices)) - counts.indptr[:-1].repeat(lengths)
    owner = np.repeat(np.arange(len(surfaces)), [len(names) for names in surfaces])
    nth = np.concatenate([np.arange(len(names)) for names in surfaces] or [np.zeros(0, int)]).astype(int)
    shape = (len(surfaces), max([1, *map(len, surfaces)]), max([1, *lengths]))
    bucket, gram = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    bucket[owner[row], nth[row], column] = counts.indices
    gram[owner[row], nth[row], column] = weights / norms[row]
    return bucket, gram


def _words(name: str) -> list[str]:
    stripped = (word.strip(PUNCTUATION) for word in name.lower().split())
    return [word for word in stripped if word]


def _whole(surface: tuple[str, ...]) -> list[str]:
    """A mention's surface as what it could be a part of a name; nothing if it is empty."""
    words = [word for name in surface for word in _words(name)]
    return [" ".join(words)] if words else []


def _runs(names: tuple[str, ...]) -> list[str]:
    """Every run of whole words of the names, the first names' first, at most `RUNS`."""
    found: dict[str, None] = {}
    for words in map(_words, names):
        bounds = ((start, stop) for start in range(len(words)) for stop in range(start + 1, len(words) + 1))
        found.update((" ".join(words[start:stop]), None) for start, stop in islice(bounds, RUNS))
        if len(found) >= RUNS:
            break
    return list(found)[:RUNS]


def _hashed(rows: Sequence[list[str]], buckets: int) -> Packed:
    """The buckets of whole strings and how many features are in each: both [n, 1, most of a row]."""
    # The bell is in no name, so that these strings are never hashed as n-grams are.
    features = [[number * "\a" + text for text in row for number in range(1, HASHES + 1)] for row in rows]
    counts = _counted(features, buckets)
    lengths = np.diff(counts.indptr)
    row = np.repeat(np.arange(len(rows)), lengths)
    column = np.arange(len(row)) - counts.indptr[:-1].repeat(lengths)
    bucket = np.zeros((len(rows), 1, max([1, *lengths])), np.int32)
    gram = np.zeros(bucket.shape, np.float32)
    bucket[row, 0, column], gram[row, 0, column] = counts.indices, counts.data
    return bucket, gram


def _joined(one: Packed, other: Packed, axis: int) -> Packed:
    """Two packs side by side on `axis`, padded on the other."""
    sizes = [max(a, b) for a, b in zip(one[0].shape, other[0].shape, strict=True)]
    return tuple(  # type: ignore[return-value]
        np.concatenate([_padded(each, sizes, axis) for each in pair], axis) for pair in zip(one, other, strict=True)
    )


def _padded(array: np.ndarray, sizes: Sequence[int], axis: int) -> np.ndarray:
    grown = np.zeros([array.shape[at] if at == axis else size for at, size in enumerate(sizes)], array.dtype)
    grown[tuple(map(slice, array.shape))] = array
    return grown


def _hash(names: Sequence[str], buckets: int):  # type: ignore[no-untyped-def]
    """Counts of hashed n-grams, a SciPy CSR matrix [names, buckets]."""
    return _counted(map(N_GRAMS, names), buckets)


def _counted(rows: Iterable[Sequence[str]], buckets: int):  # type: ignore[no-untyped-def]
    """How often each bucket occurs among the hashed strings of each row, a SciPy CSR matrix [rows, buckets]."""
    return _hasher(buckets).transform(chain(rows, [()]))[:-1]  # scikit-learn refuses to hash no rows


@lru_cache
def _hasher(buckets: int) -> FeatureHasher:
    return FeatureHasher(buckets, input_type="string", alternate_sign=False)


def _lookup(mentions: Side, buckets: int) -> tuple[Tensor, Tensor]:
    """The mentions' n-grams as a table [grams + 1, mentions], and the row of each bucket [buckets]; the last row,
    of the buckets that no mention has, is zero."""
    bucket, gram = mentions["bucket"][:, 0].long(), mentions["gram"][:, 0].float()
    known, row = torch.unique(bucket, return_inverse=True)
    table = gram.new_zeros(len(known) + 1, len(bucket))
    column = torch.arange(len(bucket), device=gram.device)[:, None].expand_as(row)
    table.index_put_((row, column), gram, accumulate=True)
    place = torch.full((buckets,), len(known), dtype=torch.int32, device=gram.device)
    place[known] = torch.arange(len(known), dtype=torch.int32, device=gram.device)
    return table, place
