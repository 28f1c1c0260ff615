from __future__ import annotations

from pathlib import Path

import pytest

from melder.jobs.ray.cluster import Cluster


@pytest.mark.parametrize(("inputs", "expected"), [(1, 1), (4, 4), (9, 4)])
def test_no_more_workers_are_started_than_there_is_work_for(inputs: int, expected: int) -> None:
    assert Cluster(4, 2, 0, Path()).actors(inputs) == {"concurrency": expected, "num_cpus": 2, "num_gpus": 0}
