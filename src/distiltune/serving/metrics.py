"""What a server counts, in Prometheus' form. Numbers only: no question and no text is ever a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from distiltune.version import __version__

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64)
_TOKENS = (64, 128, 256, 512, 1_024, 2_048, 4_096)


class ServerMetrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self, queued_tokens: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry, "namespace": "distiltune"}
        self.requests = Counter("requests", "Requests answered.", ("route", "status"), **own)
        self.seconds = Histogram(
            "request_seconds", "From a request's first byte to its answer's last.", ("route",), buckets=_SECONDS, **own
        )
        self.in_process = Gauge("requests_in_process", "Requests that are being read, worked on or answered.", **own)
        self.bytes_in_process = Gauge("request_bytes_in_process", "Bytes of their bodies.", **own)
        self.refused = Counter("refused", "Requests refused because too much was going on.", **own)
        self.batch_features = Histogram("batch_features", "Windows in a batch.", buckets=_SIZES, **own)
        self.batch_tokens = Histogram("batch_tokens", "Tokens in a batch.", buckets=_TOKENS, **own)
        self.batch_seconds = Histogram("batch_seconds", "Seconds that a batch took.", buckets=_SECONDS, **own)
        Gauge("queued_tokens", "Tokens that wait for a batch.", **own).set_function(queued_tokens)
        self.model_info = Gauge("model_info", "1 for each model that is served.", ("path", "model", "task"), **own)
        self.model_loaded = Gauge("model_loaded_timestamp_seconds", "When it was loaded.", ("path",), **own)
        version = Gauge("build_info", "1, for the version of distiltune.", ("version",), **own)
        version.labels(__version__).set(1)
        ProcessCollector(registry=self._registry)

    def tell_models(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        """Say which models are served from now on: the path of each, and what ``/api/model`` says of it."""
        self.model_info.clear()
        self.model_loaded.clear()
        for path, about in models.items():
            self.model_info.labels(f"/{path}", about["name"], about["task"]).set(1)
            self.model_loaded.labels(f"/{path}").set_to_current_time()

    def batch(self, n_features: int, n_tokens: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_features.observe(n_features)
        self.batch_tokens.observe(n_tokens)
        self.batch_seconds.observe(seconds)

    def exposition(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self._registry)
