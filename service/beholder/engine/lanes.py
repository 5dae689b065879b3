"""What the engine asks of a graph's lane, whether its session is in this process or in another."""

from collections.abc import Callable, Sequence
from typing import Protocol

from beholder.clock import Clock
from beholder.config import Config
from beholder.engine.job import Waits
from beholder.engine.lane import Deliver, Lane, Release, Row, powers_of_two
from beholder.engine.queue import Entry
from beholder.engine.slots import Slots
from beholder.inputs.steps import Step
from beholder.metrics import Metrics
from beholder.scoring.asked import Graph
from beholder.types import Priority


class RowWorkers(Waits, Protocol):
    """Who runs the rows of a lane."""

    def start(self) -> None:
        """Start running."""

    def stop(self) -> list[Entry[Row]]:
        """Let batches that run finish, and return what never ran."""
        ...


class AnyLane(Protocol):
    """A graph's rows on their way; each method is as `Lane` says."""

    coming: int

    @property
    def graph(self) -> Graph:
        """Whose rows they are."""
        ...

    @property
    def steps(self) -> tuple[Step, ...]:
        """How its images are prepared."""
        ...

    @property
    def takes_help(self) -> bool:
        """Whether a thread that pushes rows, and `helps`, may run a batch before it returns."""
        ...

    @property
    def helper_rows(self) -> int:
        """How many rows a thread may prepare before it helps."""
        ...

    @property
    def workers(self) -> RowWorkers:
        """Who runs them."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether it may be asked."""
        ...

    def warm_up(self) -> None:
        """Block until batches run at their usual speed."""

    def push(self, rows: Sequence[Row], *, helps: bool) -> list[Entry[Row]]:
        """Let rows wait for their batch."""
        ...

    def wants(self, priority: Priority, deadline_s: float) -> bool:
        """Tell whether a row should be prepared now."""
        ...

    def expected_s(self, rows: int, behind: int, priority: Priority, deadline_s: float) -> float | None:
        """Return the seconds until new rows would be done."""
        ...


MakeLane = Callable[[Graph, Deliver, Release], AnyLane]


def lanes_here(config: Config, device: str, graphs: int, clock: Clock, metrics: Metrics) -> Callable[..., Lane]:
    """Return what makes the lanes of graphs in this process, which share the device's slots.

    Args:
        config: with no zero left in `runners`.
        device: "cpu" or "cuda".
        graphs: how many there will be.
    """
    runners, delay_s = config.runners, config.queue_delay_ms / 1e3
    # On a GPU a thread that runs a batch only waits, and could prepare meanwhile; more threads than runners prepare
    # ahead, for the runners.
    takes_help = device == "cpu" and config.decode_threads == runners
    slots = Slots(runners * (1 if device == "cpu" else max(1, graphs)), clock)

    def make(graph: Graph, deliver: Deliver, release: Release) -> Lane:
        batch_rows = () if device == "cpu" else powers_of_two(graph.max_batch_rows)
        return Lane(graph, runners, batch_rows, slots, delay_s, takes_help, deliver, release, clock, metrics)

    return make
