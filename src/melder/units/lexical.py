"""Names compared as strings: cosine of character n-grams between the surface and an entity's names.

Names alone decide most mentions, and no published matcher compares them as strings. The features are those of
scikit-learn's `TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)`, hashed into buckets so
that names never seen in training need no vocabulary. The best of an entity's names counts.

A surface is often a part of the name: "Jordan" is all of what "Michael Jordan" is called in a caption, yet as strings
it is nearer to "Jordanes". A surface that is one or more whole words of a name, in a row, therefore counts at least
`part`. Each such run of words is `HASHES` more hashed features, of weight 1 in a mention and together `part` in an
entity. Were it one, whoever has its bucket by chance would count as much: of 50,000 entities 0.7 a surface.

With `exact` a surface that is all of a name counts 1 + `exact`: no name that is only alike comes near it.

The weight with which the unit joins the total is learned, and stays above `floor`: f + exp(w). Mentions that were made
of the entities say little of how much real ones lean on names.

With `fold` strings are compared as people compare names (melder/names.py). A name with diacritics then counts without
them too, `PLAIN` times as much: "Muller" is Müller, but rather Muller. Without, only upper and lower case are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from melder.features import Features, Heads, Side
from melder.names import folded, unaccented
from melder.ops.gram_table import gram_table
from melder.ops.name_hashes import HASHES, gram_places, places_of_copies
from melder.ops.runs import spread
from melder.protocols import SideTensor

__all__ = ["Lexical"]

RUNS = 64  # runs of words that count of an entity's names: all of a name of ten words
AT_ONCE = 4096  # names whose n-grams are counted together
PLAIN = 0.95  # what a name without its diacritics counts: less than as it is written, more than any other name
PUNCTUATION = ".,;:!?()[]'\"’‘“”"

Packed = tuple[np.ndarray, np.ndarray]  # buckets and weights


class Lexical(nn.Module):
    """A cosine in [0, 1] for each pair, and the learned non-negative `weight` with which it joins the total.

    Sides: `bucket` [n, A, G] int32 and `gram` [n, A, G], A names of G n-grams, padded with weight 0 (a mention has
    one name; with `part`, what is a part of a name is one more of an entity's names, and with `fold` its names without
    diacritics are more). Call `fit` on the names of the
    knowledge base once, before training; the inverse document frequencies are then part of the model.

    Args:
        buckets: How many the n-grams are hashed into.
        initial_weight: Where the learned weight starts, above `floor`.
        part: What a surface counts at least that is whole words of a name, from 0 (no more than its cosine) to below 1.
        fold: Compare strings as people compare names, and names without their diacritics too.
        exact: What a surface counts more that is all of a name.
        floor: What the learned weight stays above.
    """

    has_vectors, has_bounds, aligns, reads_pictures = False, False, False, False
    entity_tensors: Mapping[str, SideTensor] = {
        "bucket": SideTensor(weights="gram", whole=True),
        "gram": SideTensor(weights="gram", rounded=False, logarithmic=True),
    }
    inverse_frequency: Tensor

    def __init__(
        self,
        buckets: int = 2**18,
        initial_weight: float = 10.0,
        part: float = 0.0,
        *,
        fold: bool = False,
        exact: float = 0.0,
        floor: float = 0.0,
    ) -> None:
        super().__init__()
        self.floor = floor
        self.buckets = buckets
        self.part = part
        self.exact = exact
        self.fold = fold
        self.log_weight = nn.Parameter(torch.tensor(math.log(initial_weight - floor)))
        self.register_buffer("inverse_frequency", torch.ones(buckets))
        self._host_frequency: np.ndarray | None = None

    @property
    def weight(self) -> Tensor:
        return self.floor + self.log_weight.exp()

    def set_weight(self, weight: float) -> None:
        """Take another weight above the floor, from which training goes on."""
        with torch.no_grad():
            self.log_weight.fill_(math.log(weight - self.floor))

    def fit(self, names: Iterable[str]) -> None:
        """Count in how many of n names each n-gram occurs: ln((1 + n) / (1 + count)) + 1, as scikit-learn does."""
        total, occurrences, left = 0, np.zeros(self.buckets, np.int64), iter(names)
        while some := list(islice(left, AT_ONCE)):
            found = _counted((gram_places(self._form(name), self.buckets) for name in some), self.buckets).bucket
            total, occurrences = total + len(some), occurrences + np.bincount(found, minlength=self.buckets)
        frequency = np.log((1 + total) / (1 + occurrences)) + 1
        self.inverse_frequency.copy_(torch.from_numpy(frequency))
        self._host_frequency = None

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._host_frequency = None

    def entity_side(self, heads: Heads) -> Side:
        names = self._surfaces(heads)
        plain = _plain(names) if self.fold else [()] * len(names)
        found = [self._grams(names)]
        if any(plain):
            found.append(_behind(found, self._grams(plain), PLAIN))
        if self.part:
            found.append(_behind(found, self._runs(names), self.part / HASHES))
        if self.part and any(plain):
            found.append(_behind(found, self._runs(plain), PLAIN * self.part / HASHES))
        if self.exact:
            found.append(_behind(found, self._wholes(names), 1 / math.sqrt(HASHES)))
        if self.exact and any(plain):
            found.append(_behind(found, self._wholes(plain), PLAIN / math.sqrt(HASHES)))
        return _side(found, heads)

    def mention_side(self, heads: Heads) -> Side:
        surfaces = self._surfaces(heads)
        found = [self._grams(surfaces)]
        if self.part:
            found.append(_hashed(map(_whole, surfaces), self.buckets))
        if self.part and self.fold:
            plain = _hashed(map(_whole, _plain(surfaces)), self.buckets)
            found.append(plain._replace(weight=plain.weight * PLAIN))
        if self.exact:
            wholes = self._wholes(surfaces)
            found.append(wholes._replace(weight=wholes.weight * (1 + self.exact) / math.sqrt(HASHES)))
        return _side(found, heads)

    def score(self, mentions: Side, entities: Side) -> Tensor:
        """[mentions, entities]: cosine of the best name, 1 + `exact` where that is all of it."""
        rows, names, grams = entities["bucket"].shape
        table, place = gram_table(mentions["bucket"][:, 0].long(), mentions["gram"][:, 0].float(), self.buckets)
        positions = place[entities["bucket"].view(-1, grams)]
        weights = entities["gram"].to(table.dtype).view(-1, grams)
        cosine = functional.embedding_bag(positions, table, per_sample_weights=weights, mode="sum")
        return cosine.view(rows, names, -1).amax(dim=1).t()

    def name_hashes(self, heads: Features) -> tuple[Tensor, Tensor]:
        """Buckets [n, HASHES] of each surface as all of a name, and as words of one; -1 where there is no surface."""
        wholes = [_whole(surface) for surface in self._surfaces(heads)]
        strings = [[f"={whole}" for whole in row] for row in wholes], wholes
        buckets = [[self._places(row) for row in rows] for rows in strings]
        whole, within = (torch.tensor(rows, dtype=torch.long).view(-1, HASHES) for rows in buckets)
        return whole, within

    def _places(self, names: list[str]) -> list[int]:
        return list(places_of_copies(names[0], self.buckets)) if names else [-1] * HASHES

    def _grams(self, names: Sequence[tuple[str, ...]]) -> _Features:
        if self._host_frequency is None:  # copied once: names are counted on the host, whatever device scores
            self._host_frequency = self.inverse_frequency.cpu().numpy()
        return _weighted(names, self.buckets, self._host_frequency)

    def _runs(self, names: Sequence[tuple[str, ...]]) -> _Features:
        """Of weight 1 each, however often one occurs."""
        runs = _hashed(map(_runs, names), self.buckets)
        return runs._replace(weight=runs.weight.clip(max=1))

    def _wholes(self, names: Sequence[tuple[str, ...]]) -> _Features:
        """All of each name, of weight 1, under other strings than those of runs."""
        wholes = _hashed(([f"={whole}" for name in row for whole in _whole((name,))] for row in names), self.buckets)
        return wholes._replace(weight=wholes.weight.clip(max=1))

    def _form(self, name: str) -> str:
        """What of a name is compared."""
        return folded(name) if self.fold else name

    def _surfaces(self, heads: Features) -> Sequence[tuple[str, ...]]:
        surfaces = heads.surfaces if heads.surfaces is not None else [()] * len(heads)
        return [tuple(map(folded, names)) for names in surfaces] if self.fold else surfaces


class _Features(NamedTuple):
    """Hashed features of some rows' names, all [features]: the row, which of its names, the bucket, and the weight."""

    row: np.ndarray
    name: np.ndarray
    bucket: np.ndarray
    weight: np.ndarray


def _plain(names: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of each row's folded names those that have diacritics, without them."""
    return [tuple(plain for name in row if (plain := unaccented(name)) != name) for row in names]


def _behind(others: Sequence[_Features], features: _Features, weight: float) -> _Features:
    """The features as names that come after those of the others, their weights times `weight`."""
    first = 1 + max(int(other.name.max(initial=0)) for other in others)
    scaled = features.weight.astype(np.float32) * np.float32(weight)
    return features._replace(name=features.name + first, weight=scaled)


def _side(found: Sequence[_Features], heads: Heads) -> Side:
    device = heads.text_global.device
    bucket, gram = _padded(found, len(heads))
    return Side({"bucket": torch.from_numpy(bucket).to(device), "gram": torch.from_numpy(gram).to(device)})


def pack(surfaces: Sequence[tuple[str, ...]], buckets: int, inverse_frequency: np.ndarray) -> Packed:
    """Buckets and L2-normalised TF-IDF weights of every name, padded: both [n, A, G]."""
    return _padded([_weighted(surfaces, buckets, inverse_frequency)], len(surfaces))


def _weighted(surfaces: Sequence[tuple[str, ...]], buckets: int, inverse_frequency: np.ndarray) -> _Features:
    """The n-grams of every name, with L2-normalised TF-IDF weights."""
    counts = _counted((gram_places(name, buckets) for names in surfaces for name in names), buckets)
    weight = (1 + np.log(counts.weight)) * inverse_frequency[counts.bucket]
    norms = np.sqrt(np.bincount(counts.row, weight**2))
    row = np.repeat(np.arange(len(surfaces)), [len(names) for names in surfaces])
    nth = np.array([place for names in surfaces for place in range(len(names))], np.int64)
    return _Features(row[counts.row], nth[counts.row], counts.bucket, weight / norms[counts.row])


def _padded(parts: Sequence[_Features], rows: int) -> Packed:
    """Every part's features of the same name one after the other, and zeros behind: both [rows, A, G]."""
    row, name, bucket, weight = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    names = 1 + int(name.max(initial=0))
    where = row * names + name
    if len(parts) > 1:
        order = np.argsort(where, kind="stable")
        where, bucket, weight = where[order], bucket[order], weight[order]
    lengths = np.bincount(where, minlength=rows * names)
    _, column = spread(lengths)
    shape = (rows * names, int(lengths.max(initial=1)))
    padded = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    padded[0][where, column], padded[1][where, column] = bucket, weight
    return padded[0].reshape(rows, names, shape[1]), padded[1].reshape(rows, names, shape[1])


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


def _hashed(rows: Iterable[list[str]], buckets: int) -> _Features:
    """The buckets of whole strings and how many features are in each, as those of each row's first name."""
    return _counted((chain.from_iterable(places_of_copies(text, buckets) for text in row) for row in rows), buckets)


def _counted(rows: Iterable[Iterable[int]], buckets: int) -> _Features:
    """How often each bucket occurs among those of each row, ascending, as those of a row's first name."""
    places, lengths = list[int](), list[int]()
    for row in rows:
        before = len(places)
        places += row
        lengths.append(len(places) - before)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    keys, counts = np.unique(owner * buckets + np.array(places, np.int64), return_counts=True)
    numbers, bucket = np.divmod(keys, buckets)
    return _Features(numbers, np.zeros(len(keys), np.int64), bucket, counts.astype(np.float64))
