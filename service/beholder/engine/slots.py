"""Leave to run on the device, first come, first served.

`threading.Semaphore` lets whoever releases it take it again before those that it woke: a graph with a backlog
would keep the device until the backlog is gone.
"""

import threading
from collections import deque
from types import TracebackType


class Slots:
    """How many may run at once; a `with` statement waits for its turn.

    Args:
        count: at least 1.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line = deque[threading.Event]()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        turn = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                return
            self._line.append(turn)
        turn.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._free += 1
