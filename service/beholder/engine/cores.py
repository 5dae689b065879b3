"""A core for each thread that has more to do than it can.

A thread that stands in line for one core while another is idle is not always fetched by Linux: of two cores a tenth was
lost that way, and more beside a busy neighbour. Threads that each hold a core are never in line behind each other.
"""

import contextlib
import os
import threading
from collections.abc import Iterable


class Cores:
    """Cores to hold; thread-safe.

    Args:
        cores: by the system's numbers.
    """

    def __init__(self, cores: Iterable[int]) -> None:
        self._all = frozenset(cores)
        self._free = sorted(self._all)
        self._held: dict[int, int] = {}
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Keep the calling thread on a core that no other thread holds; nothing where there is none."""
        thread = threading.get_ident()
        with self._lock:
            if thread in self._held or not self._free:
                return
            core = self._held[thread] = self._free.pop()
        _stay_on({core})

    def let_go(self) -> None:
        """Let the calling thread run anywhere again."""
        with self._lock:
            core = self._held.pop(threading.get_ident(), None)
            if core is None:
                return
            self._free.append(core)
        _stay_on(self._all)


def cores_for(threads: int) -> Cores | None:
    """Return the cores of this process where they are as many as its threads, else None.

    Fewer threads than cores, in two processes, could hold the same core and leave another idle.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    return Cores(cores) if len(cores) == threads else None


def _stay_on(cores: Iterable[int]) -> None:
    with contextlib.suppress(OSError):  # forbidden here, or the cores were taken away from this process meanwhile
        os.sched_setaffinity(0, cores)
