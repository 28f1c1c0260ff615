"""A cluster of two nodes on this machine, which lasts for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

MEMORY = 80 << 20  # bytes of a node's object store; the least that Ray takes is 75 MB
HOST = "127.0.0.2"  # loopback; Ray puts the machine's own address in the place of 127.0.0.1
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_worker_niceness": "0"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Its address. Two CPUs a node, without a dashboard."""
    pytest.importorskip("ray.data", reason="needs melder[scale]")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 2, "object_store_memory": MEMORY, "node_ip_address": HOST}
        nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        try:
            nodes.add_node(**node)
            yield nodes.address
        finally:
            nodes.shutdown()
