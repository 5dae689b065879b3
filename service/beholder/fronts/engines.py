"""The engine processes as a front sees them: who has which row, and what comes back.

A row's pixels are written into memory that the engines see, and its place is told to the engine that has least to do.
What comes back is handed on as a lane of this process would. Where an engine ends, what it had is answered with
Unavailable, and others, or the next one in its place, go on.
"""

import itertools
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from beholder.clock import Clock
from beholder.engine.expected import Waiting
from beholder.engine.lane import Deliver, Release, Row
from beholder.engine.queue import BatchQueue, Entry
from beholder.errors import BeholderError, ScoringFailed, Unavailable
from beholder.fronts.board import Board
from beholder.fronts.link import DROP, DROPPED, FAILED, RAN, ROW, Item, Link
from beholder.fronts.memory import Memory
from beholder.metrics import Metrics
from beholder.room import Room
from beholder.scoring.asked import Graph
from beholder.types import Priority, Tensor

log = logging.getLogger(__name__)
DRAWING_THREADS = 2
"""Where answers with maps are read: encoding them takes long, and other answers need not wait for that."""
RETRY_S = 1.0


@dataclass(eq=False)
class Share:
    """A graph's rows of this front that engines have.

    Attributes:
        index: the graph's place in the engines' list.
        deliver: takes (graph, rows, outputs), one output row for each.
        release: told of all rows that come back, run or not.
        rows: guarded by `Engines`; never taken from, only counted.
    """

    graph: Graph
    index: int
    deliver: Deliver
    release: Release
    rows: BatchQueue[Row] = field(default_factory=lambda: BatchQueue[Row](1))


@dataclass(eq=False, slots=True)
class _Sent:
    """A row that an engine has."""

    number: int
    share: Share
    entry: Entry[Row]
    offset: int
    engine: "_Engine"


@dataclass(eq=False)
class _Engine:
    """An engine process, as this front knows it."""

    board: Board
    link: Link
    sent: dict[int, _Sent] = field(default_factory=dict)


class Engines:
    """The engine processes that a front is linked to, and what they have of it; thread-safe.

    Args:
        memory: this front's alone to write to.
        lost: told which engine is no longer linked, for whatever reason.
    """

    def __init__(
        self, memory: Memory, clock: Clock, metrics: Metrics, lost: Callable[[int], None] = lambda _: None
    ) -> None:
        self.clock, self._memory, self._metrics, self._lost = clock, memory, metrics, lost
        self._changed = threading.Condition()
        self._room = Room(memory.size_bytes)
        self._engines: dict[int, _Engine] = {}
        self._sent: dict[Entry[Row], _Sent] = {}
        self._numbers = itertools.count()
        self._drawing = ThreadPoolExecutor(DRAWING_THREADS, "maps")

    @property
    def count(self) -> int:
        """How many are there."""
        return len(self._engines)

    @property
    def used_bytes(self) -> int:
        """How much of the memory is taken."""
        with self._changed:
            return self._room.used_bytes

    def connect(self, number: int, wire: socket.socket, board: Board) -> None:
        """Take in an engine process that is warm."""
        link = Link(f"engine{number}", wire, lambda items: self._hear(engine, items), lambda: self._end(number, engine))
        engine = _Engine(board, link)
        link.start()
        with self._changed:
            self._engines[number] = engine
            self._changed.notify_all()

    def wait(self) -> None:
        """Block until an engine process is there."""
        with self._changed:
            self._changed.wait_for(lambda: self._engines)

    def boards(self) -> list[Board]:
        """Return what the engines tell of themselves."""
        with self._changed:
            return [engine.board for engine in self._engines.values()]

    def rows_ahead_of(self, share: Share, priority: Priority, deadline_s: float) -> int:
        """Count this front's rows that leave before one of this priority and deadline, or run."""
        with self._changed:
            return share.rows.rows_ahead_of(priority, deadline_s)

    def waiting(self, share: Share, priority: Priority, deadline_s: float) -> Waiting:
        """Return what a row of this priority and deadline would meet; what runs counts as waiting."""
        with self._changed:
            ahead = share.rows.rows_ahead_of(priority, deadline_s)
            behind = len(share.rows) - ahead
            for its in Priority:
                rows = sum(engine.board.rows(share.index, its) for engine in self._engines.values())
                others = max(0, rows - share.rows.waiting_rows(its))
                ahead, behind = (ahead + others, behind) if its <= priority else (ahead, behind + others)
        return Waiting(ahead, behind, 0)

    def send(self, share: Share, entry: Entry[Row]) -> None:
        """Write a row into the memory and hand it to the engine that has least to do; answers it where none is left."""
        row = entry.payload
        if row.size_bytes > self._memory.size_bytes:
            share.release([row])
            row.task.settle_graph(
                share.graph, ScoringFailed(f"{row.size_bytes} bytes of pixels are too many for a front")
            )
            return
        offset = self._take_room(row)
        if offset is not None:
            places = self._write(row, share.graph.roles, offset)
            with self._changed:
                if self._engines:
                    self._hand_over(share, entry, offset, places)
                    return
                self._give_room(offset)
        share.release([row])
        row.task.settle_graph(share.graph, _unavailable(share.graph))

    def drop(self, entry: Entry[Row]) -> None:
        """Ask the engine that has a row to drop it."""
        with self._changed:
            sent = self._sent.get(entry)
            if sent:
                sent.engine.link.post(DROP, sent.number)

    def forget(self, share: Share) -> list[Entry[Row]]:
        """Let go of all engines, and return what they have of a lane."""
        with self._changed:
            for engine in self._engines.values():
                engine.link.close()
            return [entry for entry, sent in self._sent.items() if sent.share is share]

    def _take_room(self, row: Row) -> int | None:
        """Wait for room for a row; None where it is no longer wanted, or nobody is there to run it."""
        with self._changed:
            while self._engines and not row.task.is_done:
                offset = self._room.take(row.size_bytes)
                if offset is not None:
                    return offset
                self._changed.wait()
        return None

    def _give_room(self, offset: int) -> None:
        self._room.give_back(offset)
        self._changed.notify_all()

    def _write(self, row: Row, roles: Sequence[str], offset: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Write the pixels, and return where each role's are and of what shape; the row holds no others after that."""
        places, tensors = list[tuple[int, tuple[int, ...]]](), {}
        for role in roles:
            pixels = row.tensors[role]
            tensors[role] = self._memory.view(offset, pixels.shape)
            tensors[role][...] = pixels
            places.append((offset, pixels.shape))
            offset += pixels.nbytes
        row.tensors = tensors
        return tuple(places)

    def _hand_over(
        self, share: Share, entry: Entry[Row], offset: int, places: tuple[tuple[int, tuple[int, ...]], ...]
    ) -> None:
        engine, number = self._least_busy(share), next(self._numbers)
        sent = _Sent(number, share, entry, offset, engine)
        engine.sent[number] = self._sent[entry] = sent
        share.rows.push(entry)
        request_id = entry.payload.task.job.request_id
        engine.link.post(ROW, share.index, number, places, int(entry.priority), entry.deadline_s, request_id)

    def _least_busy(self, share: Share) -> _Engine:
        """Return the engine with the fewest rows of this graph, then of this front; those not ready come last."""
        engines = list(self._engines.values())
        if len(engines) == 1:
            return engines[0]

        def load(engine: _Engine) -> tuple[bool, int, int]:
            own = sum(sent.share is share for sent in engine.sent.values())
            rows = sum(engine.board.rows(share.index, priority) for priority in Priority)
            return not engine.board.is_ready(share.index), max(own, rows), len(engine.sent)

        return min(engines, key=load)

    def _hear(self, engine: _Engine, items: Sequence[Item]) -> None:
        for said, index, numbers, *more in items:
            share, rows = self._take_back(engine, numbers)
            if share is None:
                continue
            share.release(rows)
            if said == RAN:
                outputs, *ran = more
                self._count(share, len(rows), *ran)
                deliver = partial(_deliver, share, rows, outputs)
                self._drawing.submit(deliver) if share.graph.draws else deliver()
            elif said == FAILED:
                _settle(share, rows, more[0])
            elif said != DROPPED:
                raise ValueError(f"an engine said {said!r} of graph {index}")

    def _count(self, share: Share, rows: int, batch_rows: int, run_s: float, waits_s: Sequence[float]) -> None:
        """Note of its own rows what a lane here would have; all of it is told by the engine: see `without_runs`."""
        name = share.graph.name
        self._metrics.batch_rows.labels(name).observe(batch_rows)
        self._metrics.rows.labels(name).inc(rows)
        self._metrics.row_run_seconds.labels(name).inc(rows * run_s)
        queue = self._metrics.stage_seconds.labels("queue", name)
        for wait_s in waits_s:
            queue.observe(wait_s)

    def _take_back(self, engine: _Engine, numbers: Sequence[int]) -> tuple[Share | None, list[Row]]:
        """Take rows of one lane from an engine, with the memory that they had."""
        with self._changed:
            sents = [engine.sent.pop(number) for number in numbers]
            for sent in sents:
                del self._sent[sent.entry]
                sent.share.rows.discard(sent.entry)
                self._room.give_back(sent.offset)
            self._changed.notify_all()
        return (sents[0].share if sents else None), [sent.entry.payload for sent in sents]

    def _end(self, number: int, engine: _Engine) -> None:
        with self._changed:
            if self._engines.get(number) is engine:
                del self._engines[number]
            left = list(engine.sent.values())
            self._changed.notify_all()
        if left:
            log.error("engine process %d ended; %d rows that it had are answered with UNAVAILABLE", number, len(left))
        for sent in left:
            self._take_back(engine, [sent.number])
            sent.share.release([sent.entry.payload])
            _settle(sent.share, [sent.entry.payload], _unavailable(sent.share.graph))
        self._lost(number)


def _unavailable(graph: Graph) -> Unavailable:
    return Unavailable(f"the process that runs {graph.name} ended; it is started again", RETRY_S)


def _settle(share: Share, rows: Sequence[Row], error: BeholderError) -> None:
    for row in rows:
        row.task.settle_graph(share.graph, error)


def _deliver(share: Share, rows: Sequence[Row], outputs: Mapping[str, Tensor]) -> None:
    try:
        share.deliver(share.graph, rows, outputs)
    except Exception:
        log.exception("what graph %s gave could not be read", share.graph.name)
        _settle(share, rows, ScoringFailed(f"{share.graph.name} failed; the server's log has the reason"))
