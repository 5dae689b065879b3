"""The door: what is in flight is bounded in rows and bytes, and what comes too late is refused before any work."""

import threading

from beholder.clock import Clock
from beholder.errors import DeadlinePassed, QueueFull, Unavailable
from beholder.metrics import Metrics
from beholder.types import Priority

BATCH_SHARE = 0.5
"""Bulk work comes in only while less than this share of the room is used: it never shuts out interactive work."""
SPARE = 0.1
"""Of the time until its deadline, what a request keeps for what nobody foresees, and for its answer's way. Under
overload all that is done is done just before its deadline: with nothing to spare, much of it came too late."""
RETRY_S = 0.1
"""Retry hint while the cost model knows nothing yet."""
MAX_RETRY_S = 5.0


def due_s(deadline_s: float, now: float) -> float:
    """Return when an answer should be ready for a caller who waits until `deadline_s`."""
    return now + (1.0 - SPARE) * (deadline_s - now)


class Admission:
    """Counts what is in flight; thread-safe.

    Args:
        max_rows: rows admitted and not yet released.
        max_bytes: bytes of samples admitted and not yet released.
    """

    def __init__(self, max_rows: int, max_bytes: int, clock: Clock, metrics: Metrics) -> None:
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._clock = clock
        self._metrics = metrics
        self._rows = self._bytes = 0
        self._closed_because = "the server is starting"
        self._changed = threading.Condition()
        metrics.in_flight_rows.set_function(lambda: self._rows)
        metrics.in_flight_bytes.set_function(lambda: self._bytes)

    def open(self) -> None:
        """Let requests in."""
        with self._changed:
            self._closed_because = ""

    def close(self, because: str) -> None:
        """Let no more requests in."""
        with self._changed:
            self._closed_because = because

    def admit(
        self,
        rows: int,
        size_bytes: int,
        deadline_s: float,
        expected_s: float | None,
        priority: Priority = Priority.INTERACTIVE,
    ) -> None:
        """Let a request in, or say why not.

        Args:
            rows: rows that it will put into queues.
            size_bytes: of its samples.
            deadline_s: when its caller stops waiting.
            expected_s: seconds until it would be done; None where nobody knows.

        Raises:
            Unavailable: not started, or draining.
            QueueFull: too many rows or bytes in flight.
            DeadlinePassed: over, or can't be met.
        """
        left_s = deadline_s - self._clock()
        with self._changed:
            if self._closed_because:
                self._metrics.refusals.labels("closed").inc()
                raise Unavailable(self._closed_because, 1.0)
            if left_s <= 0.0:
                self._metrics.refusals.labels("deadline_passed").inc()
                raise DeadlinePassed(f"the deadline passed {-left_s:.3f} s before the request arrived")
            self._check_room(rows, self._rows, self._max_rows, "rows", expected_s, priority)
            self._check_room(size_bytes, self._bytes, self._max_bytes, "bytes", expected_s, priority)
            late_s = 0.0 if expected_s is None else expected_s - (1.0 - SPARE) * left_s
            if late_s > 0.0:
                self._metrics.refusals.labels("deadline_unreachable").inc()
                told = f"the deadline is {left_s:.3f} s away and the answer about {expected_s:.3f} s"
                raise DeadlinePassed(f"{told}; a tenth is kept to spare", late_s)
            self._rows += rows
            self._bytes += size_bytes

    def release(self, rows: int, size_bytes: int) -> None:
        """Take back what `admit` counted."""
        with self._changed:
            self._rows -= rows
            self._bytes -= size_bytes
            if self._rows == 0:
                self._changed.notify_all()

    def wait_idle(self, timeout_s: float) -> bool:
        """Block until nothing is in flight; False where that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._rows == 0, timeout_s)

    def _check_room(
        self, more: int, used: int, limit: int, unit: str, expected_s: float | None, priority: Priority
    ) -> None:
        waits = priority is Priority.BATCH and used >= limit * BATCH_SHARE
        if used + more <= limit and not waits:
            return
        self._metrics.refusals.labels(f"queue_{unit}").inc()
        retry_s = min(expected_s or RETRY_S, MAX_RETRY_S)
        told = f"; bulk work comes in below {limit * BATCH_SHARE:.0f}" if waits else ""
        message = f"{used} {unit} are in flight and this request brings {more}; the limit is {limit}{told}"
        raise QueueFull(message, retry_s)
