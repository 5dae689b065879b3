"""Which rows leave together, and when: the whole batching policy, told the time and knowing no thread.

Policy:
1. Rows of one batch share one shape; other shapes wait in their own bucket.
2. The bucket that holds the most urgent row goes first: by priority, then by deadline, then by arrival.
3. Inside a bucket the same order holds, so urgent rows also ride in the earlier batch.
4. A batch leaves as soon as somebody can run it, unless a queue delay is set: then when its oldest row has
   waited that long, or when it is full.
5. Free runners share what waits: two rows and two free runners make two batches of one.
6. A row whose deadline is over, or would be before its batch is done, never leaves; `expire` hands it back.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Generic, TypeVar

from beholder.types import Priority

P = TypeVar("P")


@dataclass(eq=False, slots=True)
class Entry(Generic[P]):
    """One row that waits.

    Attributes:
        shape: what batch-mates must have in common.
        deadline_s: after this moment it must not leave.
        work: its size for the cost model and for the limit of a batch; 1 for rows of fixed size.
        arrived_s: when it was pushed.
    """

    payload: P
    shape: Hashable
    priority: Priority
    deadline_s: float
    work: float
    arrived_s: float
    order: tuple[float, int] = field(default=(0.0, 0), init=False)


_order = attrgetter("order")


class _Bucket(Generic[P]):
    """Rows of one shape: by urgency in one sorted list for each priority, and by arrival."""

    def __init__(self) -> None:
        self.by_urgency: dict[Priority, list[Entry[P]]] = {priority: [] for priority in Priority}
        self.by_arrival: dict[Entry[P], None] = {}

    def urgent_first(self) -> Iterator[Entry[P]]:
        for entries in self.by_urgency.values():
            yield from entries

    def add(self, entry: Entry[P]) -> None:
        insort(self.by_urgency[entry.priority], entry, key=_order)
        self.by_arrival[entry] = None

    def remove(self, entry: Entry[P]) -> None:
        entries = self.by_urgency[entry.priority]
        del entries[bisect_left(entries, entry.order, key=_order)]
        del self.by_arrival[entry]


class BatchQueue(Generic[P]):
    """Waiting rows of one graph. Not thread-safe: its owner holds a lock.

    Args:
        max_batch_rows: rows in one batch at most.
        max_batch_work: stop adding rows once their work adds up to this; one row always fits.
        delay_s: how long a row may wait for company while a runner is free.
    """

    def __init__(self, max_batch_rows: int, max_batch_work: float = float("inf"), delay_s: float = 0.0) -> None:
        self._max_rows = max_batch_rows
        self._max_work = max_batch_work
        self._delay_s = delay_s
        self._buckets: dict[Hashable, _Bucket[P]] = {}
        self._pushed = 0

    def __len__(self) -> int:
        return sum(len(bucket.by_arrival) for bucket in self._buckets.values())

    def push(self, entry: Entry[P]) -> None:
        """Add a row."""
        self._pushed += 1
        entry.order = (entry.deadline_s, self._pushed)
        self._buckets.setdefault(entry.shape, _Bucket()).add(entry)

    def discard(self, entry: Entry[P]) -> bool:
        """Take a row out unrun; False where it has left already."""
        bucket = self._buckets.get(entry.shape)
        if bucket is None or entry not in bucket.by_arrival:
            return False
        self._remove(bucket, entry)
        return True

    def expire(self, now: float) -> list[Entry[P]]:
        """Take out and return the rows whose deadline is over at `now`, which may lie ahead."""
        late = [
            entry
            for bucket in self._buckets.values()
            for entries in bucket.by_urgency.values()
            for entry in entries[: bisect_left(entries, (now, float("inf")), key=_order)]
        ]
        for entry in late:
            self._remove(self._buckets[entry.shape], entry)
        return late

    def take(
        self, now: float, free_runners: int = 1, is_open: Callable[[Entry[P]], bool] = lambda _: True
    ) -> list[Entry[P]]:
        """Take out the next batch; empty where nothing may leave yet.

        Args:
            now: the moment, in the clock of the entries.
            free_runners: how many, this one included, could run a batch now.
            is_open: whether a bucket, of which it is told the most urgent row, may be taken from.
        """
        due = [
            bucket
            for bucket in self._buckets.values()
            if self._due_at(bucket) <= now and is_open(next(bucket.urgent_first()))
        ]
        if not due:
            return []
        bucket = min(due, key=lambda bucket: self._urgency(next(bucket.urgent_first())))
        fair_rows = -(-len(bucket.by_arrival) // free_runners)
        batch, work = list[Entry[P]](), 0.0
        for entry in bucket.urgent_first():
            if batch and (len(batch) >= min(self._max_rows, fair_rows) or work + entry.work > self._max_work):
                break
            batch.append(entry)
            work += entry.work
        for entry in batch:
            self._remove(bucket, entry)
        return batch

    def batch_rows(self, free_runners: int) -> int:
        """Return how many rows `take` would give at most."""
        return min(self._max_rows, -(-len(self) // free_runners))

    def due_at(self, is_open: Callable[[Entry[P]], bool] = lambda _: True) -> float | None:
        """Return when `take` next has something to give; None while nothing waits that may be taken."""
        buckets = self._buckets.values()
        return min((self._due_at(bucket) for bucket in buckets if is_open(next(bucket.urgent_first()))), default=None)

    def expires_at(self) -> float | None:
        """Return when `expire` next has something to give; None while nothing waits."""
        return min(
            (
                entries[0].deadline_s
                for bucket in self._buckets.values()
                for entries in bucket.by_urgency.values()
                if entries
            ),
            default=None,
        )

    def rows_ahead_of(self, priority: Priority, deadline_s: float) -> int:
        """Count the rows that would leave before one of this priority and deadline."""
        return sum(
            bisect_left(entries, (deadline_s, float("inf")), key=_order) if its == priority else len(entries)
            for bucket in self._buckets.values()
            for its, entries in bucket.by_urgency.items()
            if its <= priority
        )

    def waiting_rows(self, priority: Priority) -> int:
        """Count the rows of one priority."""
        return sum(len(bucket.by_urgency[priority]) for bucket in self._buckets.values())

    def _due_at(self, bucket: _Bucket[P]) -> float:
        if len(bucket.by_arrival) >= self._max_rows:
            return float("-inf")
        return next(iter(bucket.by_arrival)).arrived_s + self._delay_s

    def _urgency(self, entry: Entry[P]) -> tuple[Priority, tuple[float, int]]:
        return entry.priority, entry.order

    def _remove(self, bucket: _Bucket[P], entry: Entry[P]) -> None:
        bucket.remove(entry)
        if not bucket.by_arrival:
            del self._buckets[entry.shape]
