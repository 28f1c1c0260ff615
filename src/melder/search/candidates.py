"""Candidates: for each mention the entities whose names look most like its surface, or whose vectors are nearest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from melder.features import Side
from melder.names import folded
from melder.ops.largest import largest, largest_of_array
from melder.protocols import Matcher
from melder.records import Entity
from melder.runs.model import answering

__all__ = ["dense_candidates", "entity_vectors", "lexical_candidates", "mention_vectors"]

MENTIONS_AT_ONCE = 128  # x 50,000 entities, of which over half share some n-gram: about 50 MB of products


def lexical_candidates(
    surfaces: Sequence[str], entities: Sequence[Entity], k: int, *, fold: bool = False
) -> np.ndarray:
    """[surfaces, min(k, entities)] rows of entities, best first: the cosine of character n-grams (2 to 4), of the
    best of each entity's names and aliases. With `fold` names are compared as people compare them (melder/names.py),
    as the lexical unit of the model does; without, only upper and lower case are one.

    Entities that share no n-gram with the surface fill up the rest, in the order of the knowledge base.
    """
    k = min(k, len(entities))
    owner = np.repeat(np.arange(len(entities)), [len(entity.names) for entity in entities])
    form = folded if fold else str
    surfaces = [form(surface) for surface in surfaces]
    names = [form(name) for entity in entities for name in entity.names]
    from sklearn.feature_extraction.text import TfidfVectorizer  # slow to import, and not needed to link

    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    try:
        table = vectorizer.fit_transform(names).T.tocsr()
    except ValueError:  # scikit-learn's way to say that there is no n-gram at all
        return np.tile(np.arange(k), (len(surfaces), 1))
    unique = {surface: row for row, surface in enumerate(dict.fromkeys(surfaces))}
    queries = vectorizer.transform(unique)
    nearest = np.concatenate([_best(queries[rows] @ table, owner, len(entities), k) for rows in _blocks(len(unique))])
    return nearest[[unique[surface] for surface in surfaces]]


def _best(cosines: sparse.csr_matrix, owner: np.ndarray, entities: int, k: int) -> np.ndarray:
    """[rows, k] from cosines [rows, names]; `owner` [names] says whose name each is."""
    scores = np.zeros(entities)
    best = np.empty((cosines.shape[0], k), dtype=np.int64)
    for row in range(cosines.shape[0]):
        stored = slice(cosines.indptr[row], cosines.indptr[row + 1])
        touched = owner[cosines.indices[stored]]
        np.maximum.at(scores, touched, cosines.data[stored])
        best[row] = largest_of_array(scores, k)
        scores[touched] = 0
    return best


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + MENTIONS_AT_ONCE) for start in range(0, rows, MENTIONS_AT_ONCE))


def dense_candidates(matcher: Matcher, mentions: Side, entities: Side, k: int) -> np.ndarray:
    """[mentions, min(k, entities)] rows of entities, best first: those with the largest inner products of
    `entity_vectors`, which hold what the matcher's units have of such.

    One matrix product for a block of mentions. Without any unit of that kind there are no rows.
    """
    queries, keys = mention_vectors(matcher, mentions), entity_vectors(matcher, entities)
    k = min(k, len(keys)) if keys.shape[1] else 0
    with torch.inference_mode():
        best = [largest(queries[rows] @ keys.t(), k)[1] for rows in _blocks(len(queries))]
        return torch.cat([queries.new_empty(0, k, dtype=torch.long), *best]).cpu().numpy()


def mention_vectors(matcher: Matcher, side: Side) -> Tensor:
    """[n, d]: what the matcher hands out of mentions for a first stage, as it is in evaluation."""
    with answering(matcher):
        return matcher.mention_vectors(side)


def entity_vectors(matcher: Matcher, side: Side) -> Tensor:
    """[n, d]: what the matcher hands out of entities for a first stage, as it is in evaluation."""
    with answering(matcher):
        return matcher.entity_vectors(side)
