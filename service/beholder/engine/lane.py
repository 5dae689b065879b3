"""One graph's loop: rows wait, leave as a batch, run, and are handed on; a failed batch hurts only itself."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from beholder.clock import Clock
from beholder.engine.cost import Cost, CostModel
from beholder.engine.expected import run_s
from beholder.engine.job import SampleTask
from beholder.engine.queue import BatchQueue, Entry
from beholder.engine.slots import Slots
from beholder.engine.workers import Workers
from beholder.errors import DeadlinePassed, ScoringFailed
from beholder.inputs.steps import output_size
from beholder.metrics import Metrics
from beholder.scoring.asked import Graph
from beholder.types import U8, Priority, Tensor

Deliver = Callable[[Graph, Sequence["Row"], Mapping[str, Tensor]], None]
Release = Callable[[Sequence["Row"]], None]
log = logging.getLogger(__name__)

MAX_BATCH_MPX = 4.0
"""Native-size rows stop joining a batch here: large images gain nothing from company, and memory grows."""
WARM_UP_SIDE_PX = 128
"""Native-size graphs are warmed up on squares of this side, or of the nearest that they accept."""
PREPARED_BATCHES = 2
"""So many full batches for each runner wait prepared: others may overtake what waits, so that it expires in vain."""
MAX_FAILURES = 3
"""Failed batches in a row after which the lane calls itself not ready, until one succeeds."""
TRY_AGAIN_S = 30.0
"""After so long without a failure it is ready all the same: who is not ready is sent nothing that could succeed."""
STUCK_S = 60.0
"""A batch that runs longer than this makes the lane not ready."""


@dataclass(eq=False, slots=True)
class Row:
    """One prepared sample of one graph.

    Attributes:
        tensors: role -> uint8 (H, W, 3), not modified.
        digest: names the image in the cache; None where the outputs are not to be kept.
    """

    task: SampleTask
    tensors: Mapping[str, U8]
    digest: bytes | None

    @property
    def size_bytes(self) -> int:
        """What it holds while it waits."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


class Lane:
    """A graph, its queue and its runners.

    Args:
        graph: loaded, not yet warm.
        runners: batches at the same time.
        batch_rows: the batch sizes that are run, ascending; batches in between are padded. Empty: any size.
        slots: shared by all lanes of one device.
        delay_s: how long an idle runner waits for company.
        takes_help: whether a thread that prepared a row may run a batch, rather than wake a runner.
        deliver: takes (graph, rows, outputs), one output row for each; called outside the device's slot order.
        release: told of all rows that leave the lane, run or not.
    """

    def __init__(
        self,
        graph: Graph,
        runners: int,
        batch_rows: Sequence[int],
        slots: Slots,
        delay_s: float,
        takes_help: bool,
        deliver: Deliver,
        release: Release,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.graph = graph
        self.steps = graph.image.steps
        self.size_px = output_size(self.steps)
        self.runners = runners
        self.coming = 0
        """Rows admitted that are still to be prepared and will then wait here; guarded by the engine."""
        self._batch_rows = batch_rows
        self.takes_help = takes_help
        self._deliver, self._release, self._slots = deliver, release, slots
        self._clock, self._metrics = clock, metrics
        self._cost, self._cost_lock = CostModel(), threading.Lock()
        # Batches that began before a late graph was open waited for that too, which tells nothing of what one costs.
        self._open_since_s = float("inf") if graph.draws else float("-inf")
        self._failures, self._failed_at = 0, 0.0
        max_mpx = float("inf") if self.size_px else min(MAX_BATCH_MPX, graph.image.max_mpx or MAX_BATCH_MPX)
        queue = BatchQueue[Row](graph.max_batch_rows, max_mpx, delay_s)
        self.workers = Workers(
            graph.name, queue, runners, self._handle, self._expire, clock, slots, lasts_s=self._lasts_s
        )
        for priority in Priority:
            gauge = metrics.queue_rows.labels(graph.name, priority.name.lower())
            gauge.set_function(partial(self.workers.waiting_rows, priority))

    @property
    def is_ready(self) -> bool:
        """Whether the last batches succeeded and none is stuck."""
        is_well = self._failures < MAX_FAILURES or self._clock() - self._failed_at > TRY_AGAIN_S
        return is_well and self.workers.busy_s() < STUCK_S

    @property
    def helper_rows(self) -> int:
        """How many rows a thread may prepare before it helps."""
        return self.graph.max_batch_rows if self.takes_help and self.size_px else 1

    @property
    def cost(self) -> Cost | None:
        """What a batch costs; None before that is known."""
        with self._cost_lock:
            return self._cost.known()

    @property
    def turn_s(self) -> float:
        """How long a batch waits for other lanes."""
        return self._slots.turn_s()

    def warm_up(self) -> None:
        """Run every batch size once, or 1 and the largest where any size may run, and learn what they cost.

        Raises:
            Exception: whatever the session raises; the process should not serve.
        """
        image = self.graph.image
        side_px = max(image.min_side_px, min(WARM_UP_SIDE_PX, image.max_side_px or WARM_UP_SIDE_PX))
        height, width = self.size_px or (side_px, side_px)
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        cold = self._batch_rows or (1,)  # where any size may run, only the first run of all is slower
        for rows in self._batch_rows or sorted({1, self.graph.max_batch_rows}):
            inputs = {role: np.stack([noise] * rows) for role in self.graph.roles}
            if rows in cold:
                self._run_on_all(inputs)
            started = self._clock()
            self.graph.session.run(inputs)
            self._observe(rows, rows * self.work_of(noise), self._clock() - started)

    def _run_on_all(self, inputs: Mapping[str, Tensor]) -> None:
        """Run once on a CPU; on a GPU as often as it may at once, for each of those runs needs a stream and memory."""
        runs = self.runners if self._batch_rows else 1
        with ThreadPoolExecutor(runs) as pool:
            list(pool.map(self.graph.session.run, [inputs] * runs))

    def work_of(self, pixels: U8) -> float:
        """Return a row's work: 1 for fixed sizes, megapixels for native ones."""
        return 1.0 if self.size_px else pixels.shape[0] * pixels.shape[1] / 1e6

    def push(self, rows: Sequence[Row], *, helps: bool) -> list[Entry[Row]]:
        """Let rows wait for their batch; the entries are what `workers.discard` takes.

        Args:
            helps: whether the calling thread is free to run a batch now, if the lane takes help.
        """
        entries = [self._entry(row) for row in rows]
        self.workers.push(*entries, helps=helps and self.takes_help)
        return entries

    def _entry(self, row: Row) -> Entry[Row]:
        pixels, job = row.tensors["candidate"], row.task.job
        return Entry(row, pixels.shape, job.priority, job.deadline_s, self.work_of(pixels), self._clock())

    def wants(self, priority: Priority, deadline_s: float) -> bool:
        """Tell whether a row should be prepared now: not while plenty wait that would leave before it."""
        plenty = PREPARED_BATCHES * self.runners * self.graph.max_batch_rows
        return self.workers.rows_ahead_of(priority, deadline_s) < plenty

    def expected_s(self, rows: int, behind: int, priority: Priority, deadline_s: float) -> float | None:
        """Return the seconds until new rows would be done, as far as the cost model knows.

        Args:
            rows: the new ones, and those that come before them but do not wait here yet.
            behind: those that come after them and do not wait here yet.
        """
        waiting = self.workers.waiting(priority, deadline_s).plus(rows, behind)
        turn_s = self._slots.turn_s()
        with self._cost_lock:
            return run_s(self._cost, waiting, self.graph.max_batch_rows, self.runners, turn_s, self._clock())

    def _handle(self, batch: list[Entry[Row]]) -> None:
        name, started = self.graph.name, self._clock()
        for entry in batch:
            self._metrics.observe_stage("queue", name, started - entry.arrived_s)
        rows = [entry.payload for entry in batch]
        try:
            outputs = self._run(rows)
            self._ran(batch, started)
            self._deliver(self.graph, rows, outputs)
        except Exception:
            self._failures, self._failed_at = self._failures + 1, self._clock()
            ids = ", ".join(sorted({row.task.job.request_id for row in rows}))
            log.exception("graph %s failed on a batch of %d rows (requests %s)", name, len(rows), ids)
            self._metrics.failed_batches.labels(name).inc()
            for row in rows:
                row.task.settle_graph(self.graph, ScoringFailed(f"{name} failed; the server's log has the reason"))
        finally:
            self._release(rows)

    def _run(self, rows: Sequence[Row]) -> Mapping[str, Tensor]:
        padded = next((size for size in self._batch_rows if size >= len(rows)), len(rows))
        filled = [*rows, *[rows[-1]] * (padded - len(rows))]
        inputs = {role: np.stack([row.tensors[role] for row in filled]) for role in self.graph.roles}
        outputs = self.graph.session.run(inputs)
        return {name: output[: len(rows)] for name, output in outputs.items()}

    def _ran(self, batch: list[Entry[Row]], started_s: float) -> None:
        name, rows, now = self.graph.name, len(batch), self._clock()
        elapsed_s = now - started_s
        self._failures = 0
        if started_s >= self._open_since_s:
            self._observe(rows, sum(entry.work for entry in batch), elapsed_s)
        self._open_since_s = min(self._open_since_s, now)
        self._metrics.observe_stage("run", name, elapsed_s)
        self._metrics.batch_rows.labels(name).observe(rows)
        self._metrics.rows.labels(name).inc(rows)
        self._metrics.row_run_seconds.labels(name).inc(rows * elapsed_s)

    def _expire(self, entry: Entry[Row]) -> None:
        self._release([entry.payload])
        self._metrics.dropped_rows.labels("deadline_passed").inc()
        late = DeadlinePassed(f"the deadline passed, or came too near, while the sample waited for {self.graph.name}")
        entry.payload.task.settle_graph(self.graph, late)

    def _lasts_s(self, rows: int) -> float:
        with self._cost_lock:
            return self._cost.predict(1, rows, self._clock()) or 0.0

    def _observe(self, rows: int, work: float, elapsed_s: float) -> None:
        with self._cost_lock:
            self._cost.observe(rows, work, elapsed_s, self._clock())


def powers_of_two(largest: int) -> tuple[int, ...]:
    """Return 1, 2, 4 … and the largest: the batch sizes that a GPU is warmed up for."""
    return (*(size for size in (2**power for power in range(largest.bit_length())) if size < largest), largest)
