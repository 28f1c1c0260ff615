"""What /metrics tells Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

__all__ = ["ServiceMetrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class ServiceMetrics:
    """The measures of one service, in a registry of its own. Routes are labelled by their pattern, never by a path."""

    def __init__(self) -> None:
        self.registry = here = CollectorRegistry()
        self.requests = Counter("melder_requests", "Requests", ("route", "status"), registry=here)
        self.seconds = Histogram("melder_request_seconds", "Time to answer", ("route",), buckets=SECONDS, registry=here)
        self.bodies = Gauge("melder_body_bytes", "Bytes of requests in memory", registry=here)
        self.waiting = Gauge("melder_queue_mentions", "Mentions waiting for the model", registry=here)
        self.batches = Histogram("melder_batch_mentions", "Mentions in a batch", buckets=SIZES, registry=here)
        self.model_seconds = Histogram("melder_batch_seconds", "Time of a batch", buckets=SECONDS, registry=here)
        self.dropped = Counter("melder_dropped_mentions", "Not linked: too late, or the client left", registry=here)
        self.failed_reloads = Counter("melder_failed_reloads", "Generations that could not be opened", registry=here)
        self.entities = Gauge("melder_entities", "Entities of the knowledge base", registry=here)
        self.generation = Info("melder_generation", "What is served", registry=here)

    def watch_queue(self, length: Callable[[], float]) -> None:
        """Ask for the length of the queue whenever somebody looks."""
        self.waiting.set_function(length)

    def page(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
