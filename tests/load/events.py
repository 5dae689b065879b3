"""Time that is only counted: what happens next, and cores that share themselves among what runs."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Happening = tuple[float, int, Callable[..., None], tuple[Any, ...]]


class Events:
    """What will happen, soonest first, and in the order told where two fall together.

    Attributes:
        now: seconds; it is the clock of all that is simulated.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[Happening] = []
        self._told = 0

    def at(self, when: float, happen: Callable[..., None], *args: Any) -> None:
        """Let something happen at a moment, now where that is over."""
        self._told += 1
        heappush(self._coming, (max(when, self.now), self._told, happen, args))

    def run(self) -> None:
        """Let happen all that is told, and what follows from it, until nothing is left."""
        coming = self._coming
        while coming:
            self.now, _, happen, args = heappop(coming)
            happen(*args)


class Cores:
    """Processors that share themselves evenly among what runs: each job gets one, or its part where there are more.

    Args:
        count: processors; a GPU that runs one batch at a time as fast as several together is one.
    """

    def __init__(self, events: Events, count: float) -> None:
        self._events, self._count = events, count
        self._jobs: list[Happening] = []
        self._begun = self._version = 0
        self._served_s = self._seen_at = (
            0.0  # what each job that ran all the time has had, and until when that is counted
        )

    def start(self, work_s: float, done: Callable[..., None], *args: Any) -> None:
        """Begin a job that takes `work_s` on a processor of its own; `done` is called when it is over."""
        self._catch_up()
        self._begun += 1
        heappush(self._jobs, (self._served_s + work_s, self._begun, done, args))
        self._look_ahead()

    def _rate(self) -> float:
        return min(1.0, self._count / len(self._jobs))

    def _catch_up(self) -> None:
        now = self._events.now
        if self._jobs:
            self._served_s += (now - self._seen_at) * self._rate()
        self._seen_at = now

    def _look_ahead(self) -> None:
        self._version += 1
        if self._jobs:
            left_s = (self._jobs[0][0] - self._served_s) / self._rate()
            self._events.at(self._events.now + left_s, self._finish, self._version)

    def _finish(self, version: int) -> None:
        if version != self._version:
            return  # another job began since, and moved the end of this one
        self._catch_up()
        self._served_s, _, done, args = heappop(self._jobs)
        self._look_ahead()
        done(*args)
