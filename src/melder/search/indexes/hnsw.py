"""A navigable small-world graph of the vectors (Malkov and Yashunin, 2018) by usearch: `pip install melder[index]`.

It looks at some hundred vectors whatever their number, and may miss some of the best. Vectors are kept in float16.
Equal vectors enter the graph once: thousands of them would be each other's neighbours only, an island that a search
does not leave, or does not reach (hnswlib, issue 263).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from melder.io.tensors import library_writes, write_array
from melder.protocols import Counting, Nearest
from melder.records import MelderError
from melder.search.indexes.equal_vectors import EqualVectors
from melder.search.indexes.files import new_directory, no_options
from melder.search.indexes.lifted import MipsToCosine

__all__ = ["HNSWIndex"]

CONNECTIVITY = 32  # edges of a vector; 16 misses several times as many
ADDING = 64  # vectors kept in view while one is added; twice as many take nearly twice as long
# … while one is searched for, at least: as many as are asked for, half the root of all there are. Threads add vectors
# in another order each time, so graphs differ: of twelve over 3,000 vectors the worst finds 94.8 % with 128 and 96.8 %
# with 160.
SEARCHING = 160
AT_ONCE = 1 << 14  # vectors that are added together
TRIAL = """
import sys, numpy, usearch.index
graph = usearch.index.Index.restore(sys.argv[1] + "/graph.usearch", view=True)
keys = numpy.asarray(graph.keys[:10000])
for key in keys[:: max(1, len(keys) // 1000)]:
    graph.search(graph.get(int(key)), min(100, len(graph)), threads=1)
"""
GRAPH, LIFT, EQUAL = "graph.usearch", "lift.json", "equal.npy"


class HNSWIndex:
    """A graph of near vectors; fulfils `melder.protocols.Index`.

    Args:
        graph: usearch's index of lifted vectors; its keys are rows, of equal vectors the first.
        lift: What lifts vectors and queries.
        rows: How many vectors there are, removed ones too.
        equal: Which of them are the same; None = all differ.
    """

    keeps_vectors, filters_types, tells_products = True, False, True
    trial = TRIAL

    def __init__(self, graph: Any, lift: MipsToCosine, rows: int, equal: EqualVectors | None = None) -> None:
        self.graph = graph
        self.lift = lift
        self.rows = rows
        self.equal = equal or EqualVectors(np.arange(rows))

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> HNSWIndex:
        """`counting` is told of vectors: a million of them take minutes."""
        no_options("hnsw", options)
        progress = counting("building the graph", len(vectors)) if counting is not None else None
        lift = MipsToCosine.of(vectors)
        graph = _usearch().Index(
            ndim=lift.width + 1,
            metric="cos",
            dtype="f16",
            connectivity=CONNECTIVITY,
            expansion_add=ADDING,
            expansion_search=SEARCHING,
        )
        index = cls(graph, lift, 0)
        for start in range(0, len(vectors), AT_ONCE):
            batch = vectors[start : start + AT_ONCE]
            index.add(batch)
            if progress is not None:
                progress(len(batch))
        return index

    @classmethod
    def open(cls, path: Path) -> HNSWIndex:
        usearch = _usearch()
        try:
            described = json.loads((path / LIFT).read_text(encoding="utf-8"))
            rows = int(described.pop("columns"))
            graph = usearch.Index.restore(str(path / GRAPH), view=True)
            if graph is None:
                raise ValueError("usearch does not know the graph")
            firsts = np.load(path / EQUAL, allow_pickle=False) if (path / EQUAL).is_file() else np.arange(rows)
            if firsts.shape != (rows,):
                raise ValueError(f"{EQUAL} is not of {rows} vectors")
            return cls(graph, MipsToCosine(**described), rows, EqualVectors(firsts))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise MelderError(f"{path}: is no index of this kind, or is damaged ({error}); build it again") from None

    def save(self, path: Path) -> None:
        with new_directory(path) as partial:
            with library_writes(path / GRAPH, RuntimeError, OSError):
                self.graph.save(str(partial / GRAPH))
            (partial / LIFT).write_text(json.dumps({**vars(self.lift), "columns": self.rows}), encoding="utf-8")
            if self.equal.has_any:
                write_array(partial / EQUAL, self.equal.firsts)

    def add(self, vectors: Tensor) -> None:
        """Vectors longer than those that it was built of, by more than a little, raise MelderError."""
        lifted = self.lift.vectors(vectors)
        new = self.equal.add(lifted.astype(np.float16))
        if len(new):
            self.graph.add(new.astype(np.uint64), lifted[new - self.rows])
        self.rows += len(vectors)

    def remove(self, rows: np.ndarray) -> None:
        gone = self.equal.remove(rows)
        if len(gone):
            self.graph.remove(gone.astype(np.uint64))

    def search(self, query: Tensor, k: int) -> Nearest:
        wanted = min(k, len(self.graph))
        if not wanted:
            return Nearest(np.zeros(0, np.int64), np.zeros(0, np.float32))
        looked_at = max(SEARCHING, wanted, isqrt(self.rows) // 2)
        self.graph.expansion_search = looked_at
        every = looked_at >= len(self.graph)  # one that no edge leads to is found too, and it takes no longer
        matches = self.graph.search(self.lift.query(query), wanted, threads=1, exact=every)  # more threads start slowly
        rows, places = self.equal.rows_of(matches.keys.astype(np.int64))
        distances = matches.distances[places]
        order = np.lexsort((rows, distances))[:k]
        return Nearest(rows[order], self.lift.products(1 - distances[order], query))

    def products(self, query: Tensor, rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.zeros(0, np.float32)
        stored = self.graph.get(self.equal.firsts[rows].astype(np.uint64), np.float32)
        lifted = np.concatenate(stored).reshape(len(rows), -1)
        return self.lift.products(lifted @ self.lift.query(query), query)


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError:
        raise MelderError("hnsw needs the package usearch: pip install melder[index]") from None
    return usearch.index
