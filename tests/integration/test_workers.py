"""Threads around a queue: what they let expire, and what waits until it is wanted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from beholder.clock import monotonic
from beholder.engine.queue import BatchQueue, Entry
from beholder.engine.slots import Slots
from beholder.engine.workers import Workers
from beholder.types import Priority

WAIT_S = 10.0


class Seen:
    """What came out of the threads."""

    def __init__(self) -> None:
        self.handled: list[str] = []
        self.late: list[str] = []
        self.threads: list[str] = []
        self.told = threading.Semaphore(0)

    def handle(self, batch: list[Entry[str]]) -> None:
        self.handled += [entry.payload for entry in batch]
        self.threads.append(threading.current_thread().name)
        self.told.release()

    def expire(self, entry: Entry[str]) -> None:
        self.late.append(entry.payload)
        self.told.release()


@contextmanager
def working(
    seen: Seen,
    is_open: Callable[[Entry[str]], bool] = lambda _: True,
    lasts_s: float = 0.0,
    slots: Slots | None = None,
    rows: int = 4,
) -> Iterator[Workers[str]]:
    queue = BatchQueue[str](rows)
    workers = Workers("test", queue, 1, seen.handle, seen.expire, monotonic, slots, is_open, lambda _: lasts_s)
    workers.start()
    try:
        yield workers
    finally:
        workers.stop()


def entry(name: str, left_s: float) -> Entry[str]:
    now = monotonic()
    return Entry(name, None, Priority.INTERACTIVE, now + left_s, 1.0, now)


def test_a_row_that_cant_be_done_in_time_expires_before_it_runs() -> None:
    seen = Seen()
    with working(seen, lasts_s=100.0) as workers:
        workers.push(entry("too late", 60.0))
        assert seen.told.acquire(timeout=WAIT_S)
        workers.push(entry("in time", 600.0))
        assert seen.told.acquire(timeout=WAIT_S)
    assert (seen.late, seen.handled) == (["too late"], ["in time"])


def test_what_is_not_wanted_waits_until_somebody_says_that_it_is() -> None:
    seen, is_open = Seen(), threading.Event()
    asked = threading.Semaphore(0)

    def look(_: Entry[str]) -> bool:
        asked.release()
        return is_open.is_set()

    with working(seen, look) as workers:
        workers.push(entry("row", 600.0))
        assert asked.acquire(timeout=WAIT_S)
        assert seen.handled == []
        is_open.set()
        workers.wake()
        assert seen.told.acquire(timeout=WAIT_S)
    assert seen.handled == ["row"]


def test_who_helps_runs_a_batch_before_it_returns() -> None:
    seen = Seen()
    with working(seen, slots=Slots(1, monotonic)) as workers:
        workers.push(entry("row", 600.0), helps=True)
        assert seen.handled == ["row"]
    assert seen.threads == [threading.current_thread().name]


def test_who_would_help_does_not_wait_for_the_device() -> None:
    seen, slots = Seen(), Slots(1, monotonic)
    with working(seen, slots=slots) as workers:
        with slots:
            workers.push(entry("row", 600.0), helps=True)
            assert seen.handled == []
        assert seen.told.acquire(timeout=WAIT_S)
    assert seen.threads == ["test-0"]


def test_who_helps_takes_the_most_urgent_row_and_leaves_the_rest_to_others() -> None:
    seen, slots = Seen(), Slots(1, monotonic)
    with working(
        seen, slots=slots, rows=1, is_open=lambda one: one.payload != "shut" or "urgent" in seen.handled
    ) as workers:
        workers.push(entry("shut", 60.0))
        workers.push(entry("urgent", 30.0), helps=True)
        assert seen.handled[0] == "urgent"
        for _ in range(2):
            assert seen.told.acquire(timeout=WAIT_S)
    assert seen.handled == ["urgent", "shut"]
    assert seen.threads == [threading.current_thread().name, "test-0"]
