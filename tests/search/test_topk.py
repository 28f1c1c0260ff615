"""The best of blocks, against the best of all together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from melder.features import Side
from melder.linking.sharded import Packed, ShardSearch
from melder.search.filters import Types
from melder.search.topk import TopK


def scores_of(seed: int, count: int) -> torch.Tensor:
    """[3, count] of four different values."""
    return torch.randint(4, (3, count), generator=torch.Generator().manual_seed(seed)).float()


def first_of_equal(scores: torch.Tensor, k: int) -> list[list[int]]:
    return scores.sort(dim=1, descending=True, stable=True).indices[:, :k].tolist()


@given(seed=st.integers(0, 2**31), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), k=st.integers(1, 70))
def test_of_equal_totals_the_first_row_wins_whatever_the_blocks(seed: int, sizes: list[int], k: int) -> None:
    scores, best, first = scores_of(seed, sum(sizes)), TopK(3, k), 0
    for size in sizes:
        best.update(first, scores[:, first : first + size], {"only": scores[:, first : first + size]})
        first += size
    assert best.rows.tolist() == first_of_equal(scores, k)
    assert torch.equal(best.totals, scores.gather(1, best.rows))
    assert torch.equal(best.parts["only"], best.totals)


class Workers:
    """Shards of one row of scores each, in this process."""

    def __init__(self, shards: Sequence[torch.Tensor]) -> None:
        self.shards = shards
        self.sizes = [shard.shape[1] for shard in shards]

    def best(self, mentions: dict[str, np.ndarray], k: int, types: Types | None) -> list[Packed]:
        found: list[Packed] = []
        for shard in self.shards:
            best = TopK(len(shard), k)
            best.update(0, shard, {})
            found.append([(best.rows.numpy(), best.totals.numpy(), {})])
        return found


@given(seed=st.integers(0, 2**31), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), k=st.integers(1, 70))
def test_of_equal_totals_the_first_shard_wins(seed: int, sizes: list[int], k: int) -> None:
    scores = scores_of(seed, sum(sizes))
    (best,) = ShardSearch(Workers(scores.split(sizes, dim=1))).best(Side({}), k)
    assert best.rows.tolist() == first_of_equal(scores, k)
