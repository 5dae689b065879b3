"""What each model did, as Triton's statistics tell it: its own requests, and what the engine's series say of its graph.

perf_analyzer reads it before and after: it wants `queue.count` to move whenever anything was answered, and one count
for all three of `compute_*`.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beholder.clock import Clock
from beholder.inference_v2 import model_statistics_pb2 as pb
from beholder.metrics import Metrics, counts, totals
from beholder.rpc.oip_models import Model
from beholder.types import Kind

NS = 1e9


@dataclass
class _Requests:
    """What was asked of one model."""

    succeeded: int = 0
    succeeded_s: float = 0.0
    failed: int = 0
    failed_s: float = 0.0
    last_ms: int = 0


class Statistics:
    """Counts the requests of each model; used on one thread, but for `read`."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._requests: dict[str, _Requests] = {}

    @contextlib.contextmanager
    def counted(self, model: Model) -> Iterator[None]:
        """Count and time one request to a model."""
        requests = self._requests.setdefault(_series(model), _Requests())
        started, requests.last_ms = self._clock(), time.time_ns() // 1_000_000
        try:
            yield
        except BaseException:
            requests.failed += 1
            requests.failed_s += self._clock() - started
            raise
        requests.succeeded += 1
        requests.succeeded_s += self._clock() - started

    def read(self, models: Sequence[Model]) -> pb.ModelStatisticsResponse:
        """Tell what the models did; walks all series, which takes milliseconds."""
        results, lookups = counts(self._metrics.results), counts(self._metrics.cache_lookups)
        rows, rows_s = counts(self._metrics.rows), counts(self._metrics.row_run_seconds)
        stages, batches = totals(self._metrics.stage_seconds), totals(self._metrics.batch_rows)
        response = pb.ModelStatisticsResponse()
        for model in models:
            graph = model.scorer.graph.name
            requests = self._requests.get(_series(model), _Requests())
            hits, misses = (int(lookups.get((graph, result), 0)) for result in ("hit", "miss"))
            ran = int(rows.get((graph,), 0))
            waited, head = (stages.get((stage, graph), (0.0, 0.0)) for stage in ("queue", "head"))
            response.model_stats.add(
                name=model.name,
                version=model.version,
                last_inference=requests.last_ms,
                inference_count=int(results.get((_series(model), "OK"), 0)),
                execution_count=int(batches.get((graph,), (0, 0))[0]),
                inference_stats=pb.InferStatistics(
                    success=_duration(requests.succeeded, requests.succeeded_s),
                    fail=_duration(requests.failed, requests.failed_s),
                    queue=_duration(int(waited[0]) + hits, waited[1]),
                    compute_input=_duration(ran, 0.0),
                    compute_infer=_duration(ran, rows_s.get((graph,), 0.0)),
                    compute_output=_duration(ran, head[1]),
                    cache_hit=_duration(hits, 0.0),
                    cache_miss=_duration(misses, 0.0),
                ),
            )
        return response


def _duration(count: int, seconds: float) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=count, ns=int(seconds * NS))


def _series(model: Model) -> str:
    """Return what the series call a model: tastes share a name there."""
    return "taste" if model.scorer.spec.kind is Kind.TASTE else model.scorer.spec.name
