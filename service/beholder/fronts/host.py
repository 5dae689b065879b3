"""An engine process' side: lanes whose rows come from fronts, and whose outputs go back to them."""

import logging
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from beholder.clock import Clock
from beholder.engine.job import SampleTask
from beholder.engine.lane import Lane, Row
from beholder.engine.queue import Entry
from beholder.errors import BeholderError
from beholder.fronts.board import Board
from beholder.fronts.link import DROP, DROPPED, FAILED, RAN, ROW, Item, Link
from beholder.fronts.memory import Memory
from beholder.metrics import Metrics
from beholder.scoring.asked import Graph
from beholder.types import Priority, Tensor

log = logging.getLogger(__name__)
TELL_S = 0.5
"""How often the board is told of lanes that are not ready for no event, such as a batch that is stuck."""


@dataclass(eq=False, slots=True)
class FarTask:
    """What a lane has to know of the sample that a front's row belongs to.

    Attributes:
        entry: the row's place in its lane, once it has one.
    """

    guest: "_Guest"
    number: int
    lane: Lane
    priority: Priority
    deadline_s: float
    request_id: str
    entry: Entry[Row] | None = None

    @property
    def job(self) -> "FarTask":
        """Itself: a row's request is known by its priority, deadline and id."""
        return self

    def settle_graph(self, graph: Graph, error: BeholderError) -> None:
        """Tell the front why there is no score."""
        self.guest.answered([self], FAILED, error)


class Host:
    """The lanes of an engine process; thread-safe.

    Args:
        graphs: what it has loaded, in the order by which fronts know them.
        make_lane: makes a lane of this process.
        board: this process' alone to write to.
    """

    def __init__(
        self,
        graphs: Sequence[Graph],
        make_lane: Callable[..., Lane],
        board: Board,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.board, self.metrics, self._clock = board, metrics, clock
        self.lanes = [make_lane(graph, self._deliver, self._release) for graph in graphs]
        self.places = {graph.name: place for place, graph in enumerate(graphs)}
        self._stopping = threading.Event()

    def start(self) -> None:
        """Warm up every lane.

        Raises:
            Exception: a graph failed on its warm-up; the process should stop.
        """
        for lane in self.lanes:
            if not lane.graph.draws:
                lane.warm_up()
            lane.workers.start()
        self._tell()
        threading.Thread(target=self._tell_on, name="board", daemon=True).start()

    def stop(self) -> None:
        """Stop the lanes, after the batches that run."""
        self._stopping.set()
        for lane in self.lanes:
            lane.workers.stop()

    def connect(self, number: int, wire: socket.socket, memory: Memory) -> None:
        """Take in a front."""
        _Guest(self, number, wire, memory)

    def _deliver(self, graph: Graph, rows: Sequence[Row], outputs: Mapping[str, Tensor]) -> None:
        of = defaultdict[_Guest, list[int]](list)
        tasks = [cast(FarTask, row.task) for row in rows]
        began_s = tasks[0].lane.workers.began_s()
        run_s = self._clock() - began_s
        waits_s = [began_s - task.entry.arrived_s if task.entry else 0.0 for task in tasks]
        for place, task in enumerate(tasks):
            of[task.guest].append(place)
        for guest, places in of.items():
            own = {name: output[places] for name, output in outputs.items()} if len(of) > 1 else dict(outputs)
            waited_s = [waits_s[place] for place in places]
            guest.answered([tasks[place] for place in places], RAN, own, len(rows), run_s, waited_s)
        self.board.tell(self.places[graph.name], tasks[0].lane)

    def _release(self, rows: Sequence[Row]) -> None:
        for row in rows:
            task = cast(FarTask, row.task)
            self.board.add_rows(self.places[task.lane.graph.name], task.priority, -1)
            row.tensors = {}  # or the memory of a front that ended stays until the garbage collector comes

    def _tell(self) -> None:
        for place, lane in enumerate(self.lanes):
            self.board.tell(place, lane)

    def _tell_on(self) -> None:
        while not self._stopping.wait(TELL_S):
            self._tell()


class _Guest:
    """A front, as an engine process knows it."""

    def __init__(self, host: Host, number: int, wire: socket.socket, memory: Memory) -> None:
        self._host, self._memory = host, memory
        self._tasks: dict[int, FarTask] = {}
        self._link = Link(f"front{number}", wire, self._hear, self._end)
        self._link.start()

    def answered(self, tasks: Sequence[FarTask], *said: object) -> None:
        """Tell the front what came of rows of one lane; from then on their memory is the front's again."""
        numbers = [task.number for task in tasks if self._tasks.pop(task.number, None)]
        if numbers:
            kind, *more = said
            self._link.post(kind, self._host.places[tasks[0].lane.graph.name], numbers, *more)

    def _hear(self, items: Sequence[Item]) -> None:
        for said, *more in items:
            if said == ROW:
                self._push(*more)
            elif said == DROP:
                self._drop(*more)

    def _push(
        self,
        graph: int,
        number: int,
        places: Sequence[tuple[int, tuple[int, ...]]],
        priority: int,
        deadline_s: float,
        request_id: str,
    ) -> None:
        lane = self._host.lanes[graph]
        tensors = {
            role: self._memory.view(offset, shape)
            for role, (offset, shape) in zip(lane.graph.roles, places, strict=True)
        }
        task = FarTask(self, number, lane, Priority(priority), deadline_s, request_id)
        self._tasks[number] = task
        self._host.board.add_rows(graph, task.priority, 1)
        # A lane asks no more of a row's sample than a FarTask has.
        (task.entry,) = lane.push([Row(cast(SampleTask, task), tensors, None)], helps=False)

    def _drop(self, number: int) -> None:
        task = self._tasks.get(number)
        if task and task.entry and task.lane.workers.discard(task.entry):
            self._host.metrics.dropped_rows.labels("cancelled").inc()
            self._host._release([task.entry.payload])
            self.answered([task], DROPPED)

    def _end(self) -> None:
        """Drop what the front had; what runs is answered to nobody, and its memory goes with the last of that."""
        for number in list(self._tasks):
            self._drop(number)
        del self._memory
