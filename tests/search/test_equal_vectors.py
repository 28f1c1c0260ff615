"""A graph of vectors of which many are equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("usearch", reason="needs melder[index]")

from melder.search.indexes.equal_vectors import EqualVectors
from melder.search.indexes.flat import FlatIndex
from melder.search.indexes.hnsw import HNSWIndex


def crowd(equal: int, others: int, groups: int = 1, width: int = 16, seed: int = 0) -> Tensor:
    """Some vectors that are alike in groups, and others of their own."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(groups, width, generator=generator)
    rest = torch.randn(others, width, generator=generator)
    return torch.cat([centres.repeat_interleave(equal, dim=0), rest])


@pytest.mark.parametrize(("equal", "others", "groups"), [(3000, 60, 1), (500, 60, 3), (2, 30, 20), (1, 100, 1)])
def test_the_best_are_found_among_equal_vectors(equal: int, others: int, groups: int) -> None:
    vectors = crowd(equal, others, groups)
    graph, flat = HNSWIndex.build(vectors), FlatIndex.build(vectors)
    for query in torch.randn(20, vectors.shape[1], generator=torch.Generator().manual_seed(1)):
        nearest, exact = graph.search(query, 10), flat.search(query, 10)
        assert nearest.rows[0] == exact.rows[0]
        assert len({*nearest.rows.tolist()}) == 10
        assert nearest.products is not None
        scale = float(vectors.norm(dim=1).max() * query.norm())
        assert np.allclose(nearest.products, exact.products, atol=2**-9 * scale)  # float16 has 11 bits


def test_of_equal_vectors_the_first_rows_come_first() -> None:
    vectors = crowd(50, 5)
    graph = HNSWIndex.build(vectors)
    assert graph.search(vectors[0], 7).rows.tolist() == list(range(7))
    assert len(graph.search(vectors[0], 55).rows) == 55


def test_rows_are_removed_and_kept(tmp_path: Path) -> None:
    vectors = crowd(4, 3)
    graph = HNSWIndex.build(vectors)
    graph.save(tmp_path / "index")
    opened = HNSWIndex.open(tmp_path / "index")
    assert opened.search(vectors[0], 4).rows.tolist() == [0, 1, 2, 3]
    assert np.allclose(opened.products(vectors[0], np.arange(4)), opened.products(vectors[0], np.zeros(4, int)))
    graph.remove(np.array([0, 2]))
    assert graph.search(vectors[0], 2).rows.tolist() == [1, 3]
    graph.remove(np.array([1, 3]))
    assert {*graph.search(vectors[0], 7).rows.tolist()} == {4, 5, 6}
    graph.add(vectors[:2])
    assert graph.search(vectors[0], 2).rows.tolist() == [7, 8]


def test_rows_are_known_by_the_first_that_has_their_vector() -> None:
    known = EqualVectors(np.arange(0))
    assert known.add(np.array([[1, 2], [3, 4], [1, 2]])).tolist() == [0, 1]
    assert known.add(np.array([[3, 4], [5, 6]])).tolist() == [4]
    assert (known.firsts.tolist(), known.has_any) == ([0, 1, 0, 1, 4], True)
    rows, places = known.rows_of(np.array([1, 0]))
    assert (rows.tolist(), places.tolist()) == ([1, 3, 0, 2], [0, 0, 1, 1])
    assert known.remove(np.array([0])).tolist() == []
    assert known.remove(np.array([2])).tolist() == [0]


def test_who_asks_for_all_vectors_gets_all() -> None:
    """Most graphs of 300 vectors have one that no edge leads to from where a search begins."""
    for seed in range(8):
        vectors = torch.randn(300, 12, generator=torch.Generator().manual_seed(seed))
        graph = HNSWIndex.build(vectors)
        assert sorted(graph.search(vectors[0], 300).rows.tolist()) == list(range(300))
        graph.remove(np.arange(0, 300, 2))
        assert sorted(graph.search(vectors[1], 150).rows.tolist()) == list(range(1, 300, 2))
