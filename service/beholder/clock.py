"""The one clock: monotonic seconds, handed down so that tests can hold time still."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells monotonic time in seconds; only differences mean anything."""

    def __call__(self) -> float:
        """Return now."""
        ...


monotonic: Clock = time.perf_counter
