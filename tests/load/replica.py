"""A server in virtual time: the engine's own queues, door, cost models and estimate over a device that is counted."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import cycle

import numpy as np

from beholder.engine.admission import Admission, due_s
from beholder.engine.cost import CostModel
from beholder.engine.expected import Waiting, done_s, line_s, run_s
from beholder.engine.lane import PREPARED_BATCHES
from beholder.engine.queue import BatchQueue, Entry
from beholder.metrics import Metrics
from beholder.types import Priority
from load.arrivals import Caller, spread
from load.devices import Machine
from load.events import Cores, Events
from load.station import NEVER, Station, Turns


class End(IntEnum):
    """How a request ended; every one ends once."""

    GOOD = 0
    """Answered before its deadline."""
    LATE = 1
    """Answered, but nobody waited any more."""
    EXPIRED = 2
    """Taken in, then told that its deadline passed."""
    REFUSED = 3
    """Told at the door that it can't be done in time."""
    FULL = 4
    """Refused for lack of room, for the last time."""
    CANCELLED = 5


@dataclass(frozen=True)
class Policy:
    """How a replica decides.

    Attributes:
        by_deadline: as Beholder does: urgent first, refused where it can't be done, dropped where it is late.
        drops_late: first come, first served, but who is late is dropped before running.
        delay_s: how long a batch waits to be filled.
    """

    name: str
    by_deadline: bool = False
    drops_late: bool = False
    delay_s: float = 0.0


BEHOLDER = Policy("Beholder", by_deadline=True)
FIFO = Policy("first come, first served")
FIFO_DROPS = Policy("first come, first served; the late dropped", drops_late=True)
FIXED_DELAY = Policy("fixed delay of 10 ms", delay_s=0.010)


@dataclass(eq=False, slots=True)
class Request:
    """One request on its way.

    Attributes:
        ready_s: when its answer should be ready.
        missing: samples without an outcome.
        failures: tries that failed.
        replica: that took it in.
        is_gone: whether that knows that nobody waits any more.
        times: how often its sender asked this before.
        waits: where its samples are, for a cancellation.
    """

    caller: Caller
    sent_s: float
    deadline_s: float
    times: int = 0
    ready_s: float = NEVER
    missing: int = 0
    failures: int = 0
    replica: "Replica | None" = None
    is_gone: bool = False
    end: End | None = None
    waits: list[tuple[Station["Task"], Entry["Task"]]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Task:
    """One sample of a request; some graphs have not answered it, and from some it still awaits its row."""

    request: Request
    open: int
    coming: set[int]


class Replica:
    """One server.

    Args:
        close: told how each request ended, as far as the server knows.
        ran: told (rows, seconds) of each batch.
        metrics: may be shared; nothing is read from it.
        rng: of its noise.
    """

    def __init__(
        self,
        events: Events,
        machine: Machine,
        policy: Policy,
        close: Callable[[Request, End], None],
        ran: Callable[[int, float], None],
        metrics: Metrics,
        rng: np.random.Generator,
    ) -> None:
        self._events, self._machine, self._policy, self._close, self._ran = events, machine, policy, close, ran
        self._admission = Admission(machine.max_queue_rows, 1, lambda: events.now, metrics)
        self._admission.open()
        self._noise: Iterator[float] = cycle(spread(machine.noise, rng).tolist())
        self._stalls: Iterator[bool] = cycle((rng.uniform(size=9973) < machine.stall).tolist())
        self._device = Cores(events, machine.cores)
        self._hands = self._device if machine.is_cpu else Cores(events, machine.threads)
        self._prepare_cost, self._thread_cost = CostModel(), CostModel()
        self._costs = [CostModel() for _ in machine.graphs]
        self._coming = [0] * len(machine.graphs)
        self._turns = Turns(machine.slots, events)
        self._lanes = [self._lane(graph) for graph in range(len(machine.graphs))]
        line = Turns(machine.threads, events)

        def lasts_s(samples: int) -> float:
            return self._thread_cost.predict(1, samples, events.now) or 0.0 if policy.by_deadline else 0.0

        together = max(self._together((graph,)) for graph in range(len(machine.graphs)))
        queue = BatchQueue[Task](together, max_batch_work=1.0)
        self._preparers = Station(
            events, queue, machine.threads, line, self._prepare, self._expire, self._wants, lasts_s
        )

    def submit(self, request: Request) -> None:
        """Take in a request, whole or not at all; CapacityError where not."""
        caller, by_deadline = request.caller, self._policy.by_deadline
        request.ready_s = due_s(request.deadline_s, self._events.now) if by_deadline else NEVER
        expected_s = self._expected_s(request) if by_deadline else None
        priority = caller.priority if by_deadline else Priority.INTERACTIVE
        self._admission.admit(caller.rows, 0, request.deadline_s if by_deadline else NEVER, expected_s, priority)
        coming = caller.graphs[:-1] if self._machine.helps else caller.graphs
        for graph in coming:
            self._coming[graph] += caller.samples
        request.missing = caller.samples
        for _ in range(caller.samples):
            task = Task(request, len(caller.graphs), set(coming))
            self._push(self._preparers, [task], caller.graphs, work=1.0 / self._together(caller.graphs))

    def cancel(self, request: Request) -> None:
        """Drop what has not run of a request that its caller gave up."""
        request.is_gone = True
        for station, entry in request.waits:
            station.queue.discard(entry)
            self._leave(entry.payload)
        self._preparers.wake()

    def _together(self, graphs: tuple[int, ...]) -> int:
        """Return how many samples a thread prepares before it runs them."""
        return self._machine.graphs[graphs[0]].max_rows if self._machine.helps and len(graphs) == 1 else 1

    def _lane(self, graph: int) -> Station[Task]:
        cost, now = self._costs[graph], self._events.now
        for rows in self._machine.sizes(graph):
            cost.observe(rows, float(rows), self._machine.run_s(graph, rows), now)
        queue = BatchQueue[Task](self._machine.graphs[graph].max_rows, delay_s=self._policy.delay_s)

        def run(batch: list[Entry[Task]], done: Callable[[], None]) -> None:
            self._run(graph, batch, done)

        def lasts_s(rows: int) -> float:
            return cost.predict(1, rows, self._events.now) or 0.0 if self._policy.by_deadline else 0.0

        runners = self._machine.runners
        return Station(self._events, queue, runners, self._turns, run, self._expire, lasts_s=lasts_s)

    def _expected_s(self, request: Request) -> float | None:
        """Ask what `Engine._expected_s` and `Lane.expected_s` ask, of the same functions."""
        caller, now, machine = request.caller, self._events.now, self._machine
        line, threads = self._preparers.waiting(caller.priority, request.ready_s), machine.threads
        expected = []
        for graph in caller.graphs:
            sooner = min(self._coming[graph], line.rows + threads)
            waiting = self._lanes[graph].waiting(caller.priority, request.ready_s)
            waiting = waiting.plus(caller.samples + sooner, self._coming[graph] - sooner)
            most, turn_s = machine.graphs[graph].max_rows, self._turns.turn_s()
            expected.append(run_s(self._costs[graph], waiting, most, machine.runners, turn_s, now))
        images = caller.samples + (0 if machine.helps else line.rows)
        done = done_s(self._prepare_cost, images, threads, expected, now)
        if not machine.helps or done is None:
            return done
        waiting = Waiting(caller.samples + line.rows, 0, line.running)
        through = line_s(self._thread_cost, waiting, self._together(caller.graphs), threads, now)
        return done if through is None else max(done, through)

    def _wants(self, entry: Entry[Task]) -> bool:
        """Ask what `Lane.wants` asks."""
        if not self._policy.by_deadline:
            return True
        rows = PREPARED_BATCHES * self._machine.runners
        return any(
            self._lanes[graph].queue.rows_ahead_of(entry.priority, entry.deadline_s)
            < rows * self._machine.graphs[graph].max_rows
            for graph in entry.payload.request.caller.graphs
        )

    def _push(
        self,
        station: Station[Task],
        tasks: list[Task],
        shape: Hashable,
        helped: Callable[[], None] | None = None,
        work: float = 1.0,
    ) -> None:
        entries = []
        for task in tasks:
            caller = task.request.caller
            priority = caller.priority if self._policy.by_deadline else Priority.INTERACTIVE
            entries.append(Entry(task, shape, priority, task.request.ready_s, work, self._events.now))
            task.request.waits.append((station, entries[-1]))
        station.push(*entries, helped=helped)

    def _prepare(self, batch: list[Entry[Task]], done: Callable[[], None]) -> None:
        costs = self._machine.graphs
        work_s = sum(costs[graph].prepare_s for entry in batch for graph in entry.payload.request.caller.graphs)
        tasks = [entry.payload for entry in batch]
        self._hands.start(work_s * next(self._noise), self._prepared, tasks, self._events.now, done)

    def _prepared(self, tasks: list[Task], started_s: float, done: Callable[[], None]) -> None:
        def free() -> None:
            self._learn(self._thread_cost, started_s, len(tasks))
            done()

        self._learn(self._prepare_cost, started_s, len(tasks))
        last: list[Task] = []
        for task in (task for task in tasks if not task.request.is_gone):
            for graph in task.coming:
                self._coming[graph] -= 1
            task.coming.clear()
            for graph in task.request.caller.graphs[:-1]:
                self._push(self._lanes[graph], [task], None)
            last.append(task)
        if not last:
            free()
            return
        # Several tasks that are prepared together ask the same graph alone.
        lane = self._lanes[last[0].request.caller.graphs[-1]]
        self._push(lane, last, None, free if self._machine.helps else None)
        if not self._machine.helps:
            free()

    def _learn(self, cost: CostModel, started_s: float, samples: int) -> None:
        cost.observe(samples, float(samples), self._events.now - started_s, self._events.now)

    def _run(self, graph: int, batch: list[Entry[Task]], done: Callable[[], None]) -> None:
        work_s = self._machine.run_s(graph, len(batch)) * next(self._noise)
        work_s += self._machine.stall_s * next(self._stalls)
        self._ran(len(batch), work_s)
        self._device.start(work_s, self._answer, graph, batch, self._events.now, done)

    def _answer(self, graph: int, batch: list[Entry[Task]], started_s: float, done: Callable[[], None]) -> None:
        now, rows = self._events.now, len(batch)
        self._costs[graph].observe(rows, float(rows), now - started_s, now)
        for entry in batch:
            task, request = entry.payload, entry.payload.request
            task.open -= 1
            if task.open == 0:
                request.missing -= 1
                self._leave(task)
                if request.missing == 0:
                    self._close(request, End.GOOD if now <= request.deadline_s else End.LATE)
        self._preparers.wake()
        done()

    def _expire(self, entry: Entry[Task]) -> None:
        self._close(entry.payload.request, End.EXPIRED)
        self._leave(entry.payload)
        self._preparers.wake()

    def _leave(self, task: Task) -> None:
        """Make room; once for each sample, though it may be told of the end of several of its rows."""
        if task.open >= 0:
            task.open = -1
            for graph in task.coming:
                self._coming[graph] -= 1
            self._admission.release(len(task.request.caller.graphs), 0)
