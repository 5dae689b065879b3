"""When new rows would be done, as far as the cost models know: arithmetic on what waits, knowing no thread."""

from collections.abc import Iterable
from dataclasses import dataclass

from beholder.engine.cost import Cost, CostModel


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a lane has to do when new rows come.

    Attributes:
        rows: the new ones, and those that leave before them.
        behind: rows that leave after them, and ride along where a batch has room.
        running: batches that have left and are not done.
    """

    rows: int
    behind: int
    running: int

    def plus(self, rows: int, behind: int) -> "Waiting":
        """Return it with more rows."""
        return Waiting(self.rows + rows, self.behind + behind, self.running)


def run_s(
    cost: CostModel | Cost, waiting: Waiting, max_batch_rows: int, runners: int, turn_s: float, now: float
) -> float | None:
    """Return the seconds until a lane is through with rows; None where nobody knows.

    Batches leave in rounds, one for each runner, and those on their way count as if they had only begun: an estimate
    that is too short lets in what then runs in vain, and with it everybody becomes late.

    Args:
        turn_s: what a batch waits for other lanes.
    """
    batch_rows = min(max_batch_rows, -(-(waiting.rows + waiting.behind) // runners))
    batch_s = cost.predict(1, batch_rows, now)
    batches = waiting.running + -(-waiting.rows // batch_rows)
    return None if batch_s is None else -(-batches // runners) * (batch_s + turn_s)


def done_s(
    prepare_cost: CostModel, images: int, threads: int, run_s: Iterable[float | None], now: float
) -> float | None:
    """Return the seconds until a request is done; None where nobody knows.

    Args:
        images: to be prepared, its own and those before them.
        threads: that prepare.
        run_s: of each graph that it asks.
    """
    prepare_s = prepare_cost.predict(images, images, now)
    known = [seconds for seconds in run_s if seconds is not None]
    return None if prepare_s is None or not known else prepare_s / min(threads, images) + max(known)


def line_s(cost: CostModel, waiting: Waiting, together: int, threads: int, now: float) -> float | None:
    """Return the seconds until threads that prepare samples, and run them too, are through; None where nobody knows.

    All samples count alike, so that a graph which takes long is not the first to be refused; those on their way count
    as if they had only begun, and the last as if it shared its thread.

    Args:
        cost: of a sample, in time of the thread that takes it.
        together: how many a thread takes at once.
    """
    shared = min(waiting.rows, together) - 1
    samples = waiting.rows + waiting.running * together + shared
    seconds = cost.predict(samples, samples, now)
    return None if seconds is None else seconds / min(threads, samples)
