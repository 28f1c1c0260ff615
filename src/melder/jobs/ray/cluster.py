"""A Ray cluster: one that is there, or one on this machine; and how many workers it has room for."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melder.records import MelderError

__all__ = ["LOCAL", "Cluster", "connected", "counts"]

LOCAL = "local"
TOKENS = "RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH"
THREADS = ("iter_threaded", "StreamingExecutor", "ray-data-")  # how names of Ray Data's threads that ask Ray begin
ENDING = 60  # seconds that one of them has to end; it takes a moment unless the machine is overloaded


@dataclass(frozen=True)
class Cluster:
    """`workers` processes hold a model; each computes with `threads` threads, and has a GPU or (0) none.

    Args:
        directory: Of the process that started the job; the workers go there, so that a path is the same for all.
    """

    workers: int
    threads: int
    gpus: int
    directory: Path

    def enter(self) -> None:
        """In a worker: be where the job was started, with the threads that each worker has.

        How many threads there are decides the last bits of a sum.
        """
        import torch

        os.chdir(self.directory)
        torch.set_num_threads(self.threads)

    def actors(self, inputs: int) -> dict[str, Any]:
        """What Ray Data is to start for so many inputs: workers that hold a model; when one dies, it starts another."""
        return {"concurrency": min(self.workers, inputs), "num_cpus": self.threads, "num_gpus": self.gpus}


@contextmanager
def connected(address: str, workers: int | None, threads: int, *, spare: int) -> Iterator[Cluster]:
    """A connection to the cluster at `address`, or to one on this machine (`LOCAL`) that ends with it.

    Args:
        address: Of the cluster.
        workers: Default, as many as there are GPUs or else as many as fit. `spare` CPUs at least are left for other
            tasks, by default a quarter of all when there are any such tasks.
        threads: Of each worker.
        spare: CPUs that are left for other tasks.

    Yields:
        The cluster, and what workers are given.

    Raises:
        MelderError: Ray is not there or does not answer, or the cluster is too small.
    """
    ray = _ray()
    there = ray.is_initialized()
    if not there:
        _connect(ray, address, (workers or 1) * threads + spare)
    try:
        _quiet(ray)
        yield _sized(ray.cluster_resources(), workers, threads, spare)
    finally:
        if not there:
            _end_threads()
            ray.shutdown()


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anyone
    try:
        import ray
        import ray.data
    except ImportError:
        raise MelderError("--ray needs its packages: pip install melder[scale]") from None
    return ray


def _connect(ray: Any, address: str, least: int) -> None:
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == LOCAL:
        own = {"num_cpus": max(least, os.cpu_count() or 1), "include_dashboard": False}
        options |= {"address": "local", "_node_ip_address": "127.0.0.1", **own}
    else:
        options["address"] = address
    try:
        _reach(address)
        ray.init(**options)
    except Exception as error:  # Ray raises a dozen kinds, RuntimeError among them
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MelderError(
            f"--ray {address}: no cluster answers ({reason}); check the address and, with tokens, {TOKENS}"
        ) from None


def _reach(address: str) -> None:
    """Raises OSError at once where nothing listens; Ray itself would try for minutes."""
    _, _, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _end_threads() -> None:
    """Wait for what Ray Data has begun and, where a job is stopped, leaves running.

    A thread that asks Ray for anything once the connection has ended ends the whole process, without a word.
    """
    for thread in threading.enumerate():
        if thread.name.startswith(THREADS):
            thread.join(ENDING)


def _quiet(ray: Any) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _sized(resources: dict[str, float], workers: int | None, threads: int, spare: int) -> Cluster:
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    left = max(spare, cpus // 4) if spare and workers is None else spare
    room = (cpus - left) // threads
    fitting = min(room, gpus) if gpus else room
    if fitting < (workers or 1):
        raise MelderError(
            f"the cluster has {cpus} CPUs and {gpus} GPUs, too few for {workers or 1} workers of {threads} threads "
            f"and {spare} CPUs beside them; ask for fewer --workers or --threads"
        )
    return Cluster(workers or fitting, threads, 1 if gpus else 0, Path.cwd())


def counts(dataset: Any) -> Iterator[int]:
    """The number of records that a worker is done with, for each of its answers as it comes.

    Nothing is fetched ahead, as that would take a thread that nobody can wait for.

    Args:
        dataset: Of Ray, whose rows are answers of workers.

    Yields:
        One number an answer.

    Raises:
        MelderError: What a worker says was wrong: it answers with its error, since an exception loses what it is on the
            way.
    """
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for row in batch.to_pylist():
            yield _counted(row)


def _counted(row: Mapping[str, Any]) -> int:
    if row["error"]:
        raise MelderError(row["error"])
    return int(row["rows"])
