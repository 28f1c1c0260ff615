"""The baseline that every result stands beside: how far the names alone go.

Names and surfaces, folded (melder/names.py), become bags of character n-grams (2 to 4, within words) weighted by
(1 + log count) × inverse document frequency over the names of the knowledge base; candidates are ranked by the cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from melder.metrics.answers import answers
from melder.names import folded
from melder.records import Entity, MelderError, Mention, Ranks

__all__ = ["name_match"]

MENTIONS_AT_ONCE = 128  # × 50,000 entities, of which over half share some n-gram: about 50 MB of products


def name_match(mentions: Sequence[Mention], entities: Sequence[Entity]) -> Ranks:
    """Exact ranks of the answers of `mentions` among `entities`, by names alone (`name`, without the aliases).

    There must be a mention.

    Raises:
        MelderError: No entity has a name or an answer is not among `entities`.
    """
    row_of = {entity.id: number for number, entity in enumerate(entities)}
    gold = np.array([row_of[answer] for answer in answers(mentions, row_of)], dtype=np.int64)
    from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import, and not needed to link

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    try:
        names = vectorizer.fit_transform([folded(entity.name) for entity in entities]).T.tocsr()
    except ValueError as error:  # scikit-learn's way to say that there is no n-gram at all
        raise MelderError("no entity of the knowledge base has a name to match: fill in the field 'name'") from error
    surfaces = vectorizer.transform([folded(mention.surface) for mention in mentions])
    counts = [_count(surfaces[rows] @ names, gold[rows]) for rows in _blocks(len(mentions))]
    better, as_good = np.concatenate(counts, axis=1)
    return Ranks(better + 1, as_good)


def _blocks(mentions: int) -> Iterator[slice]:
    return (slice(start, start + MENTIONS_AT_ONCE) for start in range(0, mentions, MENTIONS_AT_ONCE))


def _count(cosines: Any, gold: np.ndarray) -> np.ndarray:
    """[2, mentions]: how many of the sparse `cosines` [mentions, entities] beat the gold one, how many are as good.

    What is not stored is zero. Entities of one name have equal bits, since a sparse product sums each entry in the
    order of the surface's n-grams.
    """
    mentions, entities = cosines.shape
    of_gold = np.asarray(cosines[np.arange(mentions), gold]).ravel()
    row = np.repeat(np.arange(mentions), np.diff(cosines.indptr))
    better = np.bincount(row[cosines.data > of_gold[row]], minlength=mentions)
    as_good = np.bincount(row[cosines.data >= of_gold[row]], minlength=mentions)
    # No cosine is below zero, so with a gold cosine of zero every entity is as good.
    return np.stack([better, np.where(of_gold == 0, entities, as_good)])
