"""What an engine process tells all fronts of its lanes, in a page of numbers that they read when they like.

A number is 8 bytes at its own place, so it is never half written; numbers of one moment may be read a moment apart.
"""

import threading
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from beholder.engine.cost import Cost
from beholder.engine.lane import Lane
from beholder.fronts.memory import Memory
from beholder.types import Priority

MAX_GRAPHS = 4096


class _At(IntEnum):
    ROWS = 0  # one for each priority
    IS_READY = len(Priority)
    TURN_S = 3
    BATCH_S = 4
    ROW_S = 5
    SEEN_AT = 6
    WIDTH = 8


SIZE_BYTES = MAX_GRAPHS * _At.WIDTH * 8


class Board:
    """The numbers of one engine process; graphs go by their place in its list.

    Args:
        memory: of `SIZE_BYTES`, zeros at first.
    """

    def __init__(self, memory: Memory) -> None:
        self._numbers: NDArray[np.float64] = memory.bytes.view(np.float64).reshape(-1, _At.WIDTH)
        self._lock = threading.Lock()

    def add_rows(self, graph: int, priority: Priority, rows: int) -> None:
        """Count rows that came to a lane, or (below 0) left it."""
        with self._lock:
            self._numbers[graph, _At.ROWS + priority] += rows

    def tell(self, graph: int, lane: Lane) -> None:
        """Write down how a lane is, and what its batches cost."""
        numbers, cost = self._numbers[graph], lane.cost
        if cost:
            numbers[_At.BATCH_S : _At.WIDTH] = cost.batch_s, cost.row_s, cost.seen_at, 0.0
        numbers[_At.IS_READY : _At.BATCH_S] = lane.is_ready, lane.turn_s

    def rows(self, graph: int, priority: Priority) -> int:
        """Return how many rows of all fronts wait or run."""
        return int(self._numbers[graph, _At.ROWS + priority])

    def is_ready(self, graph: int) -> bool:
        """Whether the lane was ready when that was last written."""
        return bool(self._numbers[graph, _At.IS_READY])

    def turn_s(self, graph: int) -> float:
        """Return how long a batch waits for other lanes."""
        return float(self._numbers[graph, _At.TURN_S])

    def cost(self, graph: int) -> Cost | None:
        """Return what a batch costs; None before that is known."""
        batch_s, row_s, seen_at = self._numbers[graph, _At.BATCH_S : _At.SEEN_AT + 1].tolist()
        return Cost(batch_s, row_s, seen_at) if seen_at else None
