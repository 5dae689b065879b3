"""A queue and its workers in virtual time: what `engine.workers` and `engine.slots` do, without threads."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from beholder.engine.cost import CostModel
from beholder.engine.expected import Waiting
from beholder.engine.queue import BatchQueue, Entry
from beholder.types import Priority
from load.events import Events

P = TypeVar("P")
NEVER = float("inf")


class Turns:
    """Leave to run on the device, first come, first served; `turn_s` is what `Slots.turn_s` learns."""

    def __init__(self, count: int, events: Events) -> None:
        self._free, self._events = count, events
        self._waits = CostModel(surprise=NEVER)
        self._line = deque[tuple[float, Callable[[], None]]]()

    def turn_s(self) -> float:
        """Return how long a turn has lately been waited for; 0 while nobody stands in line."""
        return self._waits.predict(1, 1, self._events.now) or 0.0 if self._line else 0.0

    def ask(self, turn: Callable[[], None]) -> None:
        """Call `turn` when it has come, at once where nobody is before it."""
        if self.enter_now():
            turn()
        else:
            self._line.append((self._events.now, turn))

    def enter_now(self) -> bool:
        """Take a turn if nobody has to be waited for."""
        if not self._free:
            return False
        self._free -= 1
        self._waits.observe(1, 1.0, 0.0, self._events.now)
        return True

    def leave(self) -> None:
        """Let the next one have its turn."""
        if self._line:
            asked_s, turn = self._line.popleft()
            self._waits.observe(1, 1.0, self._events.now - asked_s, self._events.now)
            turn()
        else:
            self._free += 1


class Station(Generic[P]):
    """Takes batches from a queue as late as it can.

    Args:
        workers: how many batches may be handled at the same time.
        begin: starts to handle a batch; calls what it is given when that is done.
        expire: told of each entry whose deadline passed while it waited.
        is_open, lasts_s: as of `Workers`.
    """

    def __init__(
        self,
        events: Events,
        queue: BatchQueue[P],
        workers: int,
        turns: Turns,
        begin: Callable[[list[Entry[P]], Callable[[], None]], None],
        expire: Callable[[Entry[P]], None],
        is_open: Callable[[Entry[P]], bool] = lambda _: True,
        lasts_s: Callable[[int], float] = lambda _: 0.0,
    ) -> None:
        self.queue = queue
        self._workers, self._idle, self._standing = workers, workers, 0
        self._events, self._turns, self._begin, self._expire = events, turns, begin, expire
        self._is_open, self._lasts_s = is_open, lasts_s
        self._late_at = self._due_at = NEVER

    def push(self, *entries: Entry[P], helped: Callable[[], None] | None = None) -> None:
        """Add entries.

        Args:
            helped: called once the thread that pushes, and may run a batch before it goes on, is free.
        """
        helps = helped is not None and self._turns.enter_now()
        for entry in entries:
            self.queue.push(entry)
            if entry.deadline_s < self._late_at:
                self._late_at = entry.deadline_s
                self._events.at(entry.deadline_s, self._watch, entry.deadline_s)
        if helps:
            self._run(helped)
            return
        self._line_up()
        if helped:
            helped()

    def waiting(self, priority: Priority, deadline_s: float) -> Waiting:
        """Return what a row of this priority and deadline would meet."""
        ahead = self.queue.rows_ahead_of(priority, deadline_s)
        return Waiting(ahead, len(self.queue) - ahead, self._workers - self._idle)

    def wake(self) -> None:
        """Look again: `is_open` may have changed."""
        for _ in range(min(len(self.queue), self._idle - self._standing)):
            self._line_up()

    def _line_up(self) -> None:
        """Have one more worker stand in line, once something is due."""
        if self._standing >= self._idle:
            return
        due_at = self.queue.due_at(self._is_open)
        if due_at is None:
            return
        if due_at <= self._events.now:
            self._standing += 1
            self._turns.ask(self._take)
        elif due_at < self._due_at:
            self._due_at = due_at
            self._events.at(due_at, self._due)

    def _due(self) -> None:
        self._due_at = NEVER
        self._line_up()

    def _take(self) -> None:
        self._standing -= 1
        self._run(None)

    def _run(self, helped: Callable[[], None] | None) -> None:
        now, free = self._events.now, 1 if helped else self._idle
        late = self.queue.expire(now + self._lasts_s(self.queue.batch_rows(free)))
        batch = self.queue.take(now, free, self._is_open)
        if batch:
            self._idle -= 1
            self._begin(batch, partial(self._done, helped))
        else:
            self._turns.leave()
        self._tell(late)
        self._line_up()
        if helped and not batch:
            helped()

    def _done(self, helped: Callable[[], None] | None) -> None:
        self._idle += 1
        self._turns.leave()
        self._line_up()
        if helped:
            helped()

    def _watch(self, when: float) -> None:
        if when == self._late_at:
            late = self.queue.expire(self._events.now)
            next_late_s = self.queue.expires_at()
            self._late_at = NEVER if next_late_s is None else next_late_s
            if self._late_at < NEVER:
                self._events.at(self._late_at, self._watch, self._late_at)
            self._tell(late)

    def _tell(self, late: list[Entry[P]]) -> None:
        for entry in late:
            self._expire(entry)
