"""Many callers become few batches: admit, prepare once per image, run once per graph, answer every scorer.

    submit ─ door ─ prepare workers ─ Picture (decode once, prepare once) ─ Row ─┬─ lane ─ queue ─ run ─┐
                         │ cache: seen before                                    └─ lane ─ …            │ batch
    Job  ◄── SampleTask ◄┴──────────────────────── heads, finite check ◄────────────────────────────────┘

A request is admitted whole or refused whole; after that a bad sample, a failed batch or a late row settles only
its own outcomes, and every admitted sample gets one outcome from every scorer.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from beholder.clock import Clock
from beholder.config import MIB, Config
from beholder.engine.admission import Admission, due_s
from beholder.engine.answers import Answers
from beholder.engine.cores import cores_for
from beholder.engine.cost import CostModel
from beholder.engine.expected import done_s, line_s
from beholder.engine.job import Job, SampleTask, Waits
from beholder.engine.lane import Row
from beholder.engine.lanes import AnyLane, MakeLane, lanes_here
from beholder.engine.picture import Picture, Pictures
from beholder.engine.queue import BatchQueue, Entry
from beholder.engine.workers import Workers
from beholder.errors import (
    DeadlinePassed,
    InputError,
    InvalidSample,
    ScorerNotExported,
    ScoringFailed,
    Unavailable,
    code_of,
)
from beholder.inputs.image import Limits
from beholder.metrics import Metrics
from beholder.scoring.asked import Asked, Graph, Scorer
from beholder.scoring.catalog import Catalog
from beholder.scoring.check import check_pixels, check_sample
from beholder.scoring.load import Loaded
from beholder.types import F32, Kind, Priority, Sample, SampleResult

log = logging.getLogger(__name__)


class Engine:
    """Scores samples for many callers at once; thread-safe.

    Args:
        catalog: all scorers that are known.
        loaded: those that can run.
        config: limits and numbers of threads, with no zeros left in `runners` and `decode_threads`.
        device: "cpu" or "cuda".
        make_lane: makes the lane of a graph that runs elsewhere; None runs all in this process.
    """

    def __init__(
        self,
        catalog: Catalog,
        loaded: Loaded,
        config: Config,
        device: str,
        clock: Clock,
        metrics: Metrics,
        make_lane: MakeLane | None = None,
    ) -> None:
        self.catalog, self.clock = catalog, clock
        self._loaded, self._config, self._metrics = loaded, config, metrics
        self._limits = Limits(int(config.max_image_mb * MIB), int(config.max_image_mpx * 1e6))
        self._answers = Answers(config.cache_mb * MIB, clock, metrics)
        self._admission = Admission(config.max_queue_rows, config.max_queue_mb * MIB, clock, metrics)
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._prepare_cost, self._thread_cost = CostModel(), CostModel()
        """Of a sample: until its rows are prepared, and until the thread that did it is free."""
        make = make_lane or lanes_here(config, device, len(loaded.graphs), clock, metrics)
        self._lanes = {
            name: make(graph, self._answers.deliver, self._release_rows) for name, graph in loaded.graphs.items()
        }
        together = max((lane.helper_rows for lane in self._lanes.values()), default=1)
        self._preparers = Workers(
            "prepare",
            BatchQueue[SampleTask](together, max_batch_work=1.0),
            config.decode_threads,
            self._prepare,
            self._expire,
            clock,
            is_open=self._wants,
            lasts_s=self._lasts_s,
            cores=cores_for(config.decode_threads) if any(lane.takes_help for lane in self._lanes.values()) else None,
        )

    def start(self) -> None:
        """Warm up every lane, then let requests in.

        Raises:
            Exception: a graph failed on its warm-up; the process should stop.
        """
        for lane in self._lanes.values():
            if not lane.graph.draws:
                lane.warm_up()
            lane.workers.start()
        self._preparers.start()
        self._admission.open()

    def drain(self, timeout_s: float) -> bool:
        """Let no more requests in and wait for those inside; False where some were still inside at the end."""
        self._admission.close("the server is shutting down")
        return self._admission.wait_idle(timeout_s)

    def stop(self) -> None:
        """Stop the threads, after the batches that run; what never ran is answered with Unavailable."""
        self._admission.close("the server is shutting down")
        left = [entry.payload for entry in self._preparers.stop()]
        left += [entry.payload.task for lane in self._lanes.values() for entry in lane.workers.stop()]
        for task in left:
            task.settle_all(Unavailable("the server is shutting down"))
        self._loaded.close()

    def not_ready_reason(self, name: str) -> str:
        """Return why a scorer can't be asked, empty where it can."""
        if name in self._loaded.missing:
            return self._loaded.missing[name]
        scorer = self._loaded.scorers.get(name)
        if scorer is None:
            return "not among the scorers that this server was told to serve"
        lane = self._lanes[scorer.graph.name]
        return "" if lane.is_ready else f"graph {scorer.graph.name} keeps failing or is stuck"

    def scorer(self, name: str, field: str = "scorers", *, explain: bool = False) -> Scorer:
        """Find a scorer of the catalogue; the one that also draws a map, where `explain` says so and there is one.

        Raises:
            ScorerNotFound: there is none of that name; the message names the nearest.
            ScorerNotExported: this server has no graph for it.
        """
        name = self.catalog.scorer(name, field).name
        if name not in self._loaded.scorers:
            raise ScorerNotExported(f"{name}: {self.not_ready_reason(name)}", field)
        return self._loaded.drawing.get(name, self._loaded.scorers[name]) if explain else self._loaded.scorers[name]

    def recall(self, image: bytes, encoder: Graph) -> F32 | None:
        """Return the embedding of an image that was scored before, by its digest; None where it is not remembered."""
        return self._answers.recall(image, encoder)

    def submit(
        self,
        samples: Sequence[Sample | InputError],
        scorers: Sequence[Scorer],
        *,
        deadline_s: float,
        priority: Priority = Priority.INTERACTIVE,
        request_id: str = "",
        on_result: Callable[[int, SampleResult], None] | None = None,
    ) -> Job:
        """Take in a request, whole or not at all; returns at once.

        Args:
            samples: at least 1, at most `max_samples`; an error is given back as that sample's outcome.
            scorers: at least 1, each once, each on a graph of this engine's.
            deadline_s: on this engine's clock.
            request_id: for the log.
            on_result: told (sample index, results) as each sample is done, on a thread of the engine.

        Raises:
            InvalidSample: no samples, or too many.
            CapacityError: nothing of it was taken in; try later.
        """
        if not 1 <= len(samples) <= self._config.max_samples:
            limit = self._config.max_samples
            raise InvalidSample(f"want 1 to {limit} samples in one request, got {len(samples)}", "samples")
        ready_s = due_s(deadline_s, self.clock())
        job = Job(samples, scorers, ready_s, priority, request_id, on_result, self._sample_done)
        graphs = job.graphs
        expected_s = self._expected_s(len(samples), graphs, priority, ready_s)
        size_bytes = sum(task.size_bytes for task in job.tasks)
        self._admission.admit(len(samples) * len(graphs), size_bytes, deadline_s, expected_s, priority)
        self._metrics.input_bytes.inc(size_bytes)
        # Who prepares a sample may run a batch for its last graph: that row need not wait in the lane.
        coming = graphs[:-1] if self._lanes[graphs[-1]].takes_help else graphs
        self._count_coming({name: len(samples) for name in coming})
        pictures = Pictures(samples, lambda image: Picture(image, self._limits, self.clock, self._metrics))
        specs = [scorer.spec for scorer in scorers]
        work = 1.0 / self._lanes[graphs[0]].helper_rows if len(graphs) == 1 else 1.0
        for task in job.tasks:
            task.coming = set(coming)
        for task in job.tasks:
            if isinstance(task.sample, InputError):
                task.settle_all(task.sample)
                continue
            task.pictures = pictures.of(task.sample)
            task.settle(check_sample(task.sample, specs, task.field))
            if not task.is_done:
                entry = Entry(task, frozenset(graphs), priority, ready_s, work, self.clock())
                task.waits.append((self._preparers, entry))
                self._preparers.push(entry)
        return job

    def _expected_s(self, samples: int, graphs: Sequence[str], priority: Priority, deadline_s: float) -> float | None:
        threads = self._config.decode_threads
        line = self._preparers.waiting(priority, deadline_s)
        lanes = [self._lanes[name] for name in graphs]
        with self._lock:
            coming = [lane.coming for lane in lanes]
        # Those still to be prepared that would come later than this request are not ahead of it in the lane either.
        before = [min(rows, line.rows + threads) for rows in coming]
        run_s = [
            lane.expected_s(samples + sooner, rows - sooner, priority, deadline_s)
            for lane, rows, sooner in zip(lanes, coming, before, strict=True)
        ]
        helps = lanes[-1].takes_help
        with self._lock:
            now = self.clock()
            done = done_s(self._prepare_cost, samples + (0 if helps else line.rows), threads, run_s, now)
            if not helps or done is None:
                return done
            through = line_s(self._thread_cost, line.plus(samples, 0), lanes[-1].helper_rows, threads, now)
            return done if through is None else max(done, through)

    def _lasts_s(self, samples: int) -> float:
        """Return how long samples keep the thread that prepares them."""
        with self._lock:
            return self._thread_cost.predict(1, samples, self.clock()) or 0.0

    def _wants(self, entry: Entry[SampleTask]) -> bool:
        """Tell whether a sample should be prepared: there is room for its pixels, and one of its graphs wants rows."""
        if self._held_bytes >= self._config.max_prepared_mb * MIB:
            return False
        return any(self._lanes[name].wants(entry.priority, entry.deadline_s) for name in entry.payload.job.graphs)

    def _prepare(self, batch: list[Entry[SampleTask]]) -> None:
        started = self.clock()
        last = [one for entry in batch for one in self._prepare_one(entry.payload)]
        if last:  # several samples that are prepared together ask the same graph alone
            lane = last[0][0]
            self._push(lane, [row for _, row in last], helps=True)
        if not (last and lane.graph.draws):  # which may first have to be opened
            self._learn(self._thread_cost, started, len(batch))

    def _prepare_one(self, task: SampleTask) -> list[tuple[AnyLane, Row]]:
        """Push all rows of a sample but the last, which it returns with its lane."""
        started, last = self.clock(), list[tuple[AnyLane, Row]]()
        try:
            for lane, row in self._rows(task):
                for before in last:
                    self._push(before[0], [before[1]], helps=False)
                last = [(lane, row)]
        except Exception:
            log.exception("preparing %s of request %s failed", task.field, task.job.request_id)
            task.settle_all(ScoringFailed("preparing the sample failed; the server's log has the reason"))
        task.pictures = {}  # the decoded pixels: rows hold what they need, and their share is bounded
        self._learn(self._prepare_cost, started, 1)
        return last

    def _learn(self, cost: CostModel, started_s: float, samples: int) -> None:
        with self._lock:
            now = self.clock()
            cost.observe(samples, float(samples), now - started_s, now)

    def _rows(self, task: SampleTask) -> Iterator[tuple[AnyLane, Row]]:
        """Prepare a sample for each graph that has not seen it."""
        pictures = task.pictures
        graphs = {scorer.graph.name: scorer.graph for scorer in task.open_scorers()}.values()
        new = [graph for graph in graphs if not self._answers.repeat(task, graph, pictures["candidate"])]
        for lane in (self._lanes[graph.name] for graph in new):
            roles = lane.graph.roles
            try:
                pixels = {role: pictures[role].pixels(f"{task.field}.{role}", lane.steps) for role in roles}
                candidate, reference = pixels["candidate"], pixels.get("reference")
                check_pixels(lane.graph.image, candidate, reference, task.field, draws=lane.graph.draws)
                tensors = {role: pictures[role].prepared(lane.steps, f"{task.field}.{role}") for role in roles}
            except InputError as error:
                task.settle_graph(lane.graph, error)
                continue
            is_kept = self._answers.keeps(lane.graph)
            yield lane, Row(task, tensors, pictures["candidate"].digest() if is_kept else None)

    def _push(self, lane: AnyLane, rows: Sequence[Row], *, helps: bool) -> None:
        rows = [row for row in rows if not row.task.is_done]
        if not rows:
            return
        with self._lock:
            for row in rows:
                self._held_bytes += row.size_bytes
                if lane.graph.name in row.task.coming:
                    row.task.coming.remove(lane.graph.name)
                    lane.coming -= 1
        for row, entry in zip(rows, lane.push(rows, helps=helps), strict=True):
            row.task.waits.append((lane.workers, entry))
            if row.task.is_done:
                self._discard(lane.workers, entry)
                row.task.waits = []

    def _expire(self, entry: Entry[SampleTask]) -> None:
        self._metrics.dropped_rows.labels("deadline_passed").inc()
        entry.payload.settle_all(DeadlinePassed("the deadline passed while the sample waited to be decoded"))

    def _sample_done(self, task: SampleTask) -> None:
        for scorer in task.job.scorers:
            outcome = task.results[scorer.spec.name]
            code = code_of(outcome).name if isinstance(outcome, Exception) else "OK"
            self._metrics.results.labels(_series(scorer.spec), code).inc()
        with self._lock:
            coming, task.coming = task.coming, set()
        self._count_coming(dict.fromkeys(coming, -1))
        if task.job.is_cancelled:
            for workers, entry in list(task.waits):
                self._discard(workers, entry)
        task.pictures, task.waits = {}, []
        self._admission.release(len(task.job.graphs), task.size_bytes)

    def _discard(self, workers: Waits, entry: Entry[Any]) -> None:
        if workers.discard(entry):
            self._metrics.dropped_rows.labels("cancelled").inc()
            if isinstance(entry.payload, Row):
                self._release_rows([entry.payload])

    def _release_rows(self, rows: Sequence[Row]) -> None:
        with self._lock:
            self._held_bytes -= sum(row.size_bytes for row in rows)
        self._preparers.wake()

    def _count_coming(self, changes: Mapping[str, int]) -> None:
        with self._lock:
            for name, change in changes.items():
                self._lanes[name].coming += change


def _series(spec: Asked) -> str:
    """Return what metrics call it; tastes share a name there, for they are many and come and go."""
    return "taste" if spec.kind is Kind.TASTE else spec.name
