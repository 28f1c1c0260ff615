"""Shards that actors of a Ray cluster search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melder.jobs.ray.cluster import Cluster
from melder.linking.sharded import Arrays, Packed, ShardWorker
from melder.search.filters import Types

__all__ = ["Actors"]


class Actors:
    """An actor for each shard, on different machines where there are enough; fulfils `ShardWorkers`.

    One that dies is started again. They end with the connection to the cluster (`melder.jobs.ray.cluster.connected`).

    Args:
        cluster: On which they run.
        paths: Of the shards, one an actor.
        changes: `method.key=value` settings.
        candidates: The name of a search; None = all entities are scored.
    """

    def __init__(
        self, cluster: Cluster, paths: Sequence[Path], changes: Sequence[str] = (), candidates: str | None = None
    ) -> None:
        import ray

        self._get = ray.get
        options = {"num_cpus": cluster.threads, "num_gpus": cluster.gpus, "scheduling_strategy": "SPREAD"}
        served = ray.remote(_Served).options(max_restarts=-1, max_task_retries=-1, **options)
        self._actors: list[Any] = [served.remote(cluster, path, tuple(changes), candidates) for path in paths]
        self.sizes: Sequence[int] = self._get([actor.size.remote() for actor in self._actors])

    def best(self, mentions: Arrays, k: int, types: Types | None) -> list[Packed]:
        answers: list[Packed] = self._get([actor.best.remote(mentions, k, types) for actor in self._actors])
        return answers


class _Served:
    def __init__(self, cluster: Cluster, path: Path, changes: Sequence[str], candidates: str | None) -> None:
        cluster.enter()
        self.server = ShardWorker.open(path, changes, candidates)

    def size(self) -> int:
        return len(self.server)

    def best(self, mentions: Arrays, k: int, types: Types | None) -> Packed:
        return self.server.best(mentions, k, types)
