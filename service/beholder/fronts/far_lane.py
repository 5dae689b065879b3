"""A lane of a front: its rows run in engine processes, and the engine of this process need not know."""

from collections.abc import Mapping, Sequence

from beholder.engine.expected import run_s
from beholder.engine.lane import PREPARED_BATCHES, Deliver, Release, Row
from beholder.engine.lanes import MakeLane
from beholder.engine.queue import Entry
from beholder.fronts.engines import Engines, Share
from beholder.inputs.steps import Step
from beholder.scoring.asked import Graph
from beholder.types import Priority


def lanes_far(engines: Engines, places: Mapping[str, int], runners: int, fronts: int) -> MakeLane:
    """Return what makes a graph's lane.

    Args:
        places: graph -> its place in the engines' list.
        runners: of each engine process.
        fronts: how many share the engines.
    """

    def make(graph: Graph, deliver: Deliver, release: Release) -> FarLane:
        ahead = runners * graph.max_batch_rows * (1 + PREPARED_BATCHES / fronts)
        return FarLane(Share(graph, places[graph.name], deliver, release), engines, runners, int(ahead))

    return make


class FarLane:
    """A graph's rows of this front; it is what the engine takes for a `Lane`, as `AnyLane` says.

    Args:
        runners: of each engine process.
        ahead: rows that may be prepared ahead for each engine process.
    """

    def __init__(self, share: Share, engines: Engines, runners: int, ahead: int) -> None:
        self.graph, self.runners = share.graph, runners
        self.steps: tuple[Step, ...] = share.graph.image.steps
        self.coming = 0
        self.takes_help, self.helper_rows = False, 1
        self._share, self._engines, self._ahead = share, engines, ahead

    @property
    def workers(self) -> "FarLane":
        """Itself: its rows are run elsewhere."""
        return self

    @property
    def is_ready(self) -> bool:
        """Whether an engine says that its lane is ready."""
        return any(board.is_ready(self._share.index) for board in self._engines.boards())

    def warm_up(self) -> None:
        """Wait for the first engine process, which is warm when it comes."""
        self._engines.wait()

    def start(self) -> None:
        """Do nothing: the engines run already."""

    def stop(self) -> list[Entry[Row]]:
        """Let go of the engines, and return what they have not answered."""
        return self._engines.forget(self._share)

    def push(self, rows: Sequence[Row], *, helps: bool) -> list[Entry[Row]]:
        """Hand rows to an engine; waits while the memory is full."""
        entries = [Entry(row, (), row.task.job.priority, row.task.job.deadline_s, 1.0, 0.0) for row in rows]
        for entry in entries:
            self._engines.send(self._share, entry)
        return entries

    def discard(self, entry: Entry[Row]) -> bool:
        """Ask the engine to drop a row; False, for it counts, and tells, what it drops."""
        self._engines.drop(entry)
        return False

    def wants(self, priority: Priority, deadline_s: float) -> bool:
        """Tell whether a row should be prepared now; yes where no engine is there, so that it is soon refused."""
        return self._engines.rows_ahead_of(self._share, priority, deadline_s) < self._ahead * max(
            1, self._engines.count
        )

    def expected_s(self, rows: int, behind: int, priority: Priority, deadline_s: float) -> float | None:
        """Return the seconds until new rows would be done, as `Lane.expected_s` does.

        Of rows of other fronts only the priority is known: those of the same one count as if they went first.
        """
        boards = self._engines.boards()
        cost = next((known for known in (board.cost(self._share.index) for board in boards) if known), None)
        if cost is None:
            return None
        turn_s = max(board.turn_s(self._share.index) for board in boards)
        waiting = self._engines.waiting(self._share, priority, deadline_s).plus(rows, behind)
        runners = self.runners * len(boards)
        return run_s(cost, waiting, self.graph.max_batch_rows, runners, turn_s, self._engines.clock())
