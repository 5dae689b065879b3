"""Leave to run on the device, first come, first served.

`threading.Semaphore` lets whoever releases it take it again before those that it woke: a graph with a backlog
would keep the device until the backlog is gone.
"""

import threading
from collections import deque
from types import TracebackType

from beholder.clock import Clock
from beholder.engine.cost import CostModel


class Slots:
    """How many may run at once; a `with` statement waits for its turn.

    Args:
        count: at least 1.
    """

    def __init__(self, count: int, clock: Clock) -> None:
        self._free = count
        self._clock, self._waits = clock, CostModel(surprise=float("inf"))
        self._line = deque[threading.Event]()
        self._lock = threading.Lock()

    def turn_s(self) -> float:
        """Return how long a turn has lately been waited for; 0 while nobody stands in line."""
        with self._lock:
            return self._waits.predict(1, 1, self._clock()) or 0.0 if self._line else 0.0

    def enter_now(self) -> bool:
        """Take a turn if nobody has to be waited for; who was told True must `leave`."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._waits.observe(1, 1.0, 0.0, self._clock())
                return True
            return False

    def leave(self) -> None:
        """Let the next one have its turn."""
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._free += 1

    def __enter__(self) -> None:
        turn, asked_s = threading.Event(), self._clock()
        with self._lock:
            if self._free:
                self._free -= 1
                self._waits.observe(1, 1.0, 0.0, asked_s)
                return
            self._line.append(turn)
        turn.wait()
        with self._lock:
            now = self._clock()
            self._waits.observe(1, 1.0, now - asked_s, now)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
