"""The local server's metrics for Prometheus."""

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from phdnet_tf.server.registry import Models

BUCKETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10)


class Metrics:
    """Requests, their time, the versions in service, and the process's own figures.

    Args:
        models: The served models.
    """

    def __init__(self, models: Models) -> None:
        """Starts at 0."""
        self._models = models
        # A registry of its own: the default one is shared by all of a process.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "phdnet_requests",
            "Predict requests, by the gRPC name of their outcome.",
            ["model", "protocol", "code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "phdnet_request_seconds",
            "Time from the head of the request to the end of its work.",
            ["model", "protocol"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._closed = Counter(
            "phdnet_connections_closed",
            "REST connections that were ended: too slow, or no place was free.",
            ["reason"],
            registry=self._registry,
        )
        self._version = Gauge(
            "phdnet_model_version",
            "Version in service.",
            ["model"],
            registry=self._registry,
        )

    def count(
        self, model: str, protocol: str, code: grpc.StatusCode, seconds: float
    ) -> None:
        """Counts a request."""
        # Names that clients make up would each be a time series for ever.
        known = model if model in self._models.served() else "unknown"
        self._requests.labels(known, protocol, code.name).inc()
        self._seconds.labels(known, protocol).observe(seconds)

    def closed(self, reason: str) -> None:
        """Counts a connection that was ended: "slow" or "full"."""
        self._closed.labels(reason).inc()

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        for model, number in self._models.served().items():
            self._version.labels(model).set(number)
        return generate_latest(self._registry)
