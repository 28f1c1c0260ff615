"""Any index that FAISS can build from a factory string, by inner products: `pip install melder[faiss]`.

The strings are FAISS's own, such as IVF256,SQ8 (https://github.com/facebookresearch/faiss/wiki/The-index-factory).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melder.io.tensors import library_writes
from melder.ops.evenly_spaced import evenly_spaced
from melder.protocols import Counting, Nearest
from melder.records import MelderError
from melder.search.indexes.files import new_directory
from melder.search.indexes.lifted import MipsToCosine

__all__ = ["FaissIndex"]

DEFAULT = "HNSW32,Flat"
TRAINED = 1 << 17  # vectors that centroids are learned from, evenly among all
AT_ONCE = 1 << 14  # that are added together
TRIAL = """
import sys, numpy, faiss
index = faiss.read_index(sys.argv[1] + "/index.faiss")
index.search(numpy.random.default_rng(0).standard_normal((100, index.d), dtype=numpy.float32), 100)
"""
INDEX, LIFT = "index.faiss", "lift.json"


class FaissIndex:
    """An index of FAISS; fulfils `melder.protocols.Index`. Inverted lists that are opened are memory-mapped.

    Args:
        index: FAISS's own, of lifted vectors, so that graphs and quantisers meet vectors of one length.
        lift: What lifts vectors and queries.
    """

    keeps_vectors, filters_types, tells_products = True, False, False
    trial = TRIAL

    def __init__(self, index: Any, lift: MipsToCosine) -> None:
        self.index = index
        self.lift = lift

    @classmethod
    def build(
        cls,
        vectors: Tensor,
        options: str = "",
        types: Sequence[tuple[str, ...]] | None = None,
        counting: Counting | None = None,
    ) -> FaissIndex:
        """`options` are a factory string.

        Raises:
            MelderError: FAISS does not know it, or has too few vectors to train the index.
        """
        factory = options or DEFAULT
        faiss, lift = _faiss(), MipsToCosine.of(vectors)
        try:
            index = faiss.index_factory(lift.width + 1, factory, faiss.METRIC_INNER_PRODUCT)
            index.train(lift.vectors(vectors[evenly_spaced(len(vectors), min(TRAINED, len(vectors)))]))
            for block in torch.split(vectors, AT_ONCE):
                index.add(lift.vectors(block))
            _look_at_more(faiss, index)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise MelderError(f"faiss:{factory}: FAISS refuses ({reason}); give another factory string") from None
        return cls(index, lift)

    @classmethod
    def open(cls, path: Path) -> FaissIndex:
        faiss = _faiss()
        try:
            lift = MipsToCosine(**json.loads((path / LIFT).read_text(encoding="utf-8")))
            return cls(faiss.read_index(str(path / INDEX), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY), lift)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise MelderError(f"{path}: is no index of this kind, or is damaged ({reason}); build it again") from None

    def save(self, path: Path) -> None:
        with new_directory(path) as partial:
            with library_writes(path / INDEX, RuntimeError):
                _faiss().write_index(self.index, str(partial / INDEX))
            (partial / LIFT).write_text(json.dumps(vars(self.lift)), encoding="utf-8")

    def add(self, vectors: Tensor) -> None:
        self.index.add(self.lift.vectors(vectors))

    def remove(self, rows: np.ndarray) -> None:
        """Always raises MelderError: FAISS would give the rows behind those other numbers, or cannot remove."""
        raise MelderError("an index of FAISS cannot lose vectors and keep their numbers; build it again without them")

    def search(self, query: Tensor, k: int) -> Nearest:
        products, rows = (row[0] for row in self.index.search(self.lift.query(query)[None], k))
        order = np.lexsort((rows, -products))
        return Nearest(rows[order][rows[order] >= 0], None)


def _look_at_more(faiss: Any, index: Any) -> None:
    """Let a search look at as many lists of an inverted file as the root of their number; FAISS itself looks at one."""
    with suppress(RuntimeError):  # it has no lists
        lists = faiss.extract_index_ivf(index)
        lists.nprobe = isqrt(lists.nlist)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MelderError("faiss needs its package: pip install melder[faiss]") from None
    return faiss
