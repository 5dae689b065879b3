"""Threads around a queue: they take batches when they are free and hand back rows that came too late.

The queue is asked late: a worker first waits until something is due, then for a free slot of the device, and
only then takes the batch, so that it grows while the device works. Who pushes a row may help. One more thread watches
the deadlines: rows are told that they are late in time, even while every worker is busy, or waits for the device.
"""

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from beholder.clock import Clock
from beholder.engine.cores import Cores
from beholder.engine.expected import Waiting
from beholder.engine.queue import BatchQueue, Entry
from beholder.engine.slots import Slots
from beholder.types import Priority

P = TypeVar("P")
log = logging.getLogger(__name__)
LOOK_AGAIN_S = 1.0
"""So long after a row was pushed the deadlines are watched though no row waits."""


class Workers(Generic[P]):
    """A queue and the threads that empty it.

    Args:
        name: for the threads.
        queue: owned from here on.
        threads: how many batches may be handled at the same time.
        handle: runs one batch; must not raise (what it raises all the same is logged, and the thread lives on).
        expire: told of each row whose deadline passed while it waited.
        clock: seconds, the same as in the entries.
        slots: shared with other queues where the device takes only so many runs at once.
        is_open: while it says no of the most urgent row of its shape, none of them is taken; call `wake` when it may
            say yes.
        lasts_s: how long a batch of so many rows takes; rows whose deadline is nearer expire before they run.
        cores: each thread holds one while it finds more to do whenever it is done.
    """

    def __init__(
        self,
        name: str,
        queue: BatchQueue[P],
        threads: int,
        handle: Callable[[list[Entry[P]]], None],
        expire: Callable[[Entry[P]], None],
        clock: Clock,
        slots: Slots | None = None,
        is_open: Callable[[Entry[P]], bool] = lambda _: True,
        lasts_s: Callable[[int], float] = lambda _: 0.0,
        cores: Cores | None = None,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._expire = expire
        self._clock = clock
        self._slots = slots
        self._is_open, self._lasts_s, self._cores = is_open, lasts_s, cores
        lock = threading.Lock()
        self._changed, self._sooner = threading.Condition(lock), threading.Condition(lock)
        self._next_late_s, self._is_used = float("inf"), False
        self._idle = threads
        self._stopping = False
        self._busy_since: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._loop, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        self._threads.append(threading.Thread(target=self._watch_deadlines, name=f"{name}-late", daemon=True))

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Entry[P]]:
        """Let batches that run finish, join the threads, and return what never ran."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._sooner.notify()
        for thread in self._threads:
            thread.join()
        with self._changed:
            return self._queue.expire(float("inf"))

    def push(self, *entries: Entry[P], helps: bool = False) -> None:
        """Add rows.

        Args:
            helps: the calling thread runs a batch before it returns, if the device has room now: nobody need be
                woken, and on a CPU what was begun is done before something else begins.
        """
        slots = self._slots if helps and self._slots and self._slots.enter_now() else None
        with self._changed:
            for entry in entries:
                self._queue.push(entry)
            self._is_used = True
            if not slots:
                self._tell_who_waits()
        if slots:
            try:
                self._run_batch(alone=True)
            finally:
                slots.leave()

    def discard(self, entry: Entry[P]) -> bool:
        """Take a row out unrun; False where it has left already."""
        with self._changed:
            return self._queue.discard(entry)

    def wake(self) -> None:
        """Look again: `is_open` may have changed."""
        with self._changed:
            if len(self._queue):
                self._changed.notify_all()

    def rows_ahead_of(self, priority: Priority, deadline_s: float) -> int:
        """Count the waiting rows that would leave before one of this priority and deadline."""
        with self._changed:
            return self._queue.rows_ahead_of(priority, deadline_s)

    def waiting(self, priority: Priority, deadline_s: float) -> Waiting:
        """Return what a row of this priority and deadline would meet."""
        with self._changed:
            ahead = self._queue.rows_ahead_of(priority, deadline_s)
            return Waiting(ahead, len(self._queue) - ahead, len(self._busy_since))

    def waiting_rows(self, priority: Priority) -> int:
        """Count the waiting rows of one priority."""
        with self._changed:
            return self._queue.waiting_rows(priority)

    def busy_s(self) -> float:
        """Return how long the longest batch has been running, 0 where none is."""
        with self._changed:
            return self._clock() - min(self._busy_since.values(), default=self._clock())

    def began_s(self) -> float:
        """Return when the batch that the calling thread handles left the queue."""
        with self._changed:
            return self._busy_since[threading.get_ident()]

    def _loop(self) -> None:
        while self._wait_until_due():
            if self._slots is None:
                self._run_batch()
            else:
                with self._slots:
                    self._run_batch()

    def _wait_until_due(self) -> bool:
        """Block until something may be taken; False on stop."""
        waited = False
        with self._changed:
            while not self._stopping:
                now, due_at = self._clock(), self._queue.due_at(self._is_open)
                if due_at is not None and due_at <= now:
                    if self._cores and not waited:
                        self._cores.hold()
                    return True
                if self._cores:
                    self._cores.let_go()
                waited = True
                self._changed.wait(None if due_at is None else due_at - now)
            return False

    def _run_batch(self, *, alone: bool = False) -> None:
        """Run what is due; `alone` leaves no part of it to other workers that are free."""
        batch = self._take(alone=alone)
        if not batch:
            return
        try:
            self._handle(batch)
        except Exception:
            log.exception("a batch was lost to a fault of the engine")
        finally:
            with self._changed:
                self._idle += 1
                del self._busy_since[threading.get_ident()]

    def _take(self, *, alone: bool) -> list[Entry[P]]:
        with self._changed:
            now, free = self._clock(), 1 if alone else self._idle
            late = self._queue.expire(now + self._lasts_s(self._queue.batch_rows(free)))
            batch = [] if self._stopping else self._queue.take(now, free, self._is_open)
            if batch:
                self._idle -= 1
                self._busy_since[threading.get_ident()] = now
            self._tell_who_waits()
        self._tell(late)
        return batch

    def _tell_who_waits(self) -> None:
        """Wake a worker if there are rows, and who watches the deadlines if one is nearer than it knows."""
        late_at_s = self._queue.expires_at()
        if late_at_s is not None:
            self._changed.notify()
            if late_at_s < self._next_late_s:
                self._sooner.notify()

    def _watch_deadlines(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = self._clock()
                late = self._queue.expire(now)
                if not late:
                    late_at_s = self._queue.expires_at()
                    if late_at_s is None:  # while rows come and go, to be woken by each of them would cost more
                        late_at_s = now + LOOK_AGAIN_S if self._is_used else float("inf")
                    self._next_late_s, self._is_used = late_at_s, False
                    self._sooner.wait(min(self._next_late_s - now, threading.TIMEOUT_MAX))
            self._tell(late)

    def _tell(self, late: list[Entry[P]]) -> None:
        for entry in late:
            self._expire(entry)
