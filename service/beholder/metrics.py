"""Every Prometheus series, in one registry; names, units and buckets follow Prometheus' conventions."""

import threading
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
REQUEST_ID = "request_id"


class Metrics:
    """The series of one server; every method is thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        make = _Maker(self.registry)
        self.requests = make.counter("requests", "RPCs (or messages of a stream) answered.", "method", "code")
        self.results = make.counter("results", "Results given: one for each sample and scorer.", "scorer", "code")
        self.request_seconds = make.histogram(
            "request_duration_seconds", "From a request's arrival to its answer.", LATENCY_BUCKETS_S, "method"
        )
        self.stage_seconds = make.histogram(
            "stage_duration_seconds",
            "Time in each stage: decode, prepare of an image, queue of a row, run, head of a batch, fit of a taste.",
            LATENCY_BUCKETS_S,
            "stage",
            "graph",
        )
        self.batch_rows = make.histogram("batch_rows", "Rows in each batch run.", BATCH_BUCKETS, "graph")
        self.rows = make.counter("rows", "Rows run on the device; its rate is rows per second.", "graph")
        self.row_run_seconds = make.counter(
            "row_run_seconds", "Time that rows spent in runs: each row of a batch all of its run.", "graph"
        )
        self.failed_batches = make.counter("failed_batches", "Batches that the device failed on.", "graph")
        self.queue_rows = make.gauge("queue_rows", "Rows that wait for the device.", "graph", "priority")
        self.in_flight_rows = make.gauge("in_flight_rows", "Rows admitted and not yet answered.")
        self.in_flight_bytes = make.gauge("in_flight_bytes", "Bytes of samples admitted and not yet answered.")
        self.refusals = make.counter("refusals", "Requests refused at the door.", "reason")
        self.dropped_rows = make.counter("dropped_rows", "Rows admitted that never reached the device.", "reason")
        self.shared_regions = make.gauge("shared_regions", "Regions of memory lent to callers on this host.")
        self.shared_bytes = make.gauge("shared_bytes", "Bytes of memory lent to callers on this host.")
        self.input_bytes = make.counter("input_bytes", "Bytes of images received.")
        self.cache_lookups = make.counter("cache_lookups", "Look-ups in the output cache.", "graph", "result")
        self.cache_bytes = make.gauge("cache_bytes", "Bytes that the output cache holds.")
        self.taste_lookups = make.counter("taste_lookups", "Tastes asked, by whether they were in memory.", "result")
        self.tastes_in_memory = make.gauge("tastes_in_memory", "Tastes that are learned and in memory.")
        self.taste_memory_bytes = make.gauge("taste_memory_bytes", "Bytes that learned tastes hold.")
        self.load_seconds = make.gauge("graph_load_seconds", "Time to read, check and load a graph.", "graph")
        self.provider = make.gauge("provider_info", "1 for the provider that a graph runs on.", "graph", "provider")
        self.scorer_info = make.gauge(
            "scorer_info", "1 for each scorer served.", "scorer", "version", "kind", "graph", "digest"
        )
        self.scorer_ready = make.gauge("scorer_ready", "1 while a scorer can be asked.", "scorer")
        self.build = Info("beholder_build", "Version of Beholder and of what it runs on.", registry=self.registry)

    def serve(self, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
        """Serve /metrics; OSError where the address can't be had."""
        return start_http_server(port, host, self.registry)

    def observe_request(self, method: str, code: str, seconds: float, request_id: str) -> None:
        """Count one answer and its latency, with the request id as an OpenMetrics exemplar."""
        self.requests.labels(method, code).inc()
        self.request_seconds.labels(method).observe(seconds, {REQUEST_ID: request_id})

    def observe_stage(self, stage: str, graph: str, seconds: float) -> None:
        """Count one passage through a stage; `graph` is empty for decode."""
        self.stage_seconds.labels(stage, graph).observe(seconds)


def counts(counter: Counter) -> dict[tuple[str, ...], float]:
    """Return the values of the labels, in their order -> the count; walks all of the counter's series."""
    samples = [sample for family in counter.collect() for sample in family.samples]
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name.endswith("_total")}


def totals(histogram: Histogram) -> dict[tuple[str, ...], tuple[float, float]]:
    """Return the values of the labels, in their order -> (how often, the sum); walks all of the histogram's series."""
    samples = [sample for family in histogram.collect() for sample in family.samples]
    found = {
        suffix: {tuple(it.labels.values()): it.value for it in samples if it.name.endswith(suffix)}
        for suffix in ("_count", "_sum")
    }
    return {labels: (count, found["_sum"][labels]) for labels, count in found["_count"].items()}


class _Maker:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"beholder_{name}", text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"beholder_{name}", text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"beholder_{name}", text, labels, buckets=buckets, registry=self._registry)
