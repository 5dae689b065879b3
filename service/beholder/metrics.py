"""Every Prometheus series, in one registry; names, units and buckets follow Prometheus' conventions."""

import threading
from collections.abc import Callable, Iterable, Mapping
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
from prometheus_client.metrics_core import Metric

LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)
REQUEST_ID = "request_id"
NOT_ADDED: Mapping[str, Callable[[float, float], float]] = {
    "beholder_graph_load_seconds": max,
    "beholder_provider_info": max,
    "beholder_scorer_info": max,
    "beholder_scorer_ready": min,
    "process_max_fds": max,
    "process_start_time_seconds": min,
    "python_info": max,
}
"""Gauges that processes of one server tell of the same thing; those that are not here are added up."""
OF_RUNS = frozenset({"beholder_batch_rows", "beholder_rows", "beholder_row_run_seconds"})
OF_LENDING = ("beholder_shared_regions", "beholder_shared_bytes")

Registry = CollectorRegistry
Families = Iterable[Metric]
"""One page of series."""


def serve_metrics(registry: Registry, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
    """Serve /metrics; OSError where the address can't be had."""
    return start_http_server(port, host, registry)


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


class Gathered:
    """A registry of what others collect, and of the process that it is in.

    Args:
        pages: asks them, whenever somebody looks.
    """

    def __init__(self, pages: Callable[[], list[Families]]) -> None:
        self.registry = CollectorRegistry(support_collectors_without_names=True)
        self._pages, self._own = pages, CollectorRegistry()
        ProcessCollector(registry=self._own)
        self.registry.register(self)

    def collect(self) -> Families:
        """Return one page of them all."""
        return merged([*self._pages(), self._own.collect()])


def merged(pages: Iterable[Families]) -> list[Metric]:
    """Make one page of those of several processes: counts are added up, what they all tell alike is told once."""
    families = dict[str, Metric]()
    places = dict[tuple[str, tuple[tuple[str, str], ...]], int]()
    for family in (family for page in pages for family in page):
        whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type, family.unit))
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            if key not in places:
                places[key] = len(whole.samples)
                whole.samples.append(sample)
                continue
            before = whole.samples[places[key]]
            value = _combined(family, sample.name)(before.value, sample.value)
            exemplar = sample.exemplar or before.exemplar
            whole.samples[places[key]] = before._replace(value=value, exemplar=exemplar)
    return list(families.values())


def counted(page: Families) -> list[Metric]:
    """Return the families that only grow: what a process that ended leaves to the page."""
    return [family for family in page if family.type in ("counter", "histogram")]


def without_runs(page: Families) -> list[Metric]:
    """Leave out what is told of runs: a front knows it of its own rows alone, the engine process of all."""
    kept = [family for family in page if family.name not in OF_RUNS]
    for family in kept:
        family.samples = [sample for sample in family.samples if sample.labels.get("stage") != "queue"]
    return kept


def of_lending(metrics: Metrics) -> list[Metric]:
    """Leave out all that is not of memory lent: what the parent of a server's processes tells."""
    return list(metrics.registry.restricted_registry(OF_LENDING).collect())


def _combined(family: Metric, sample: str) -> Callable[[float, float], float]:
    if sample.endswith("_created"):
        return min
    return max if family.type == "info" else NOT_ADDED.get(family.name, lambda one, other: one + other)


class _Maker:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"beholder_{name}", text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"beholder_{name}", text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"beholder_{name}", text, labels, buckets=buckets, registry=self._registry)
