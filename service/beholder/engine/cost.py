"""How long a batch takes, learned from the batches that ran: time = a + b * work, where a row of fixed size is work 1.

Least squares with forgetting, as BentoML's CORK dispatcher has it, so that the model follows a machine that
gets busier. It answers None until it has seen enough, and nobody is refused on a guess. It is told the time.
"""

from dataclasses import dataclass

FORGET = 0.98
"""What an observation still weighs after the next one; about the last 50 count."""
ENOUGH = 3
SURPRISE = 4.0
"""One batch that took more than so many times what was expected counts as that long: a stall is no price, and a machine
that did get slower is believed batch by batch."""
STALE_S = 30.0
"""After so long without a batch all is forgotten: one slow batch must not have everybody refused for ever."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model knows, to be handed on: a batch of n rows takes `batch_s` + n * `row_s`.

    Attributes:
        row_s: of a row of mean work.
        seen_at: when the last batch was seen.
    """

    batch_s: float
    row_s: float
    seen_at: float

    def predict(self, batches: float, rows: float, now: float) -> float | None:
        """Return the seconds that `rows` mean rows in `batches` batches take on one runner; None once it is stale."""
        return None if now - self.seen_at > STALE_S else self.batch_s * batches + self.row_s * rows


class CostModel:
    """Learns seconds from work. Not thread-safe: its owner holds a lock.

    Args:
        surprise: how many times the expected seconds an observation counts at most.
    """

    def __init__(self, surprise: float = SURPRISE) -> None:
        self._surprise = surprise
        self._seen_at = float("-inf")
        self._forget()

    def _forget(self) -> None:
        self._seen = 0
        self._n = self._rows = self._x = self._y = self._xx = self._xy = 0.0

    def observe(self, rows: int, work: float, seconds: float, now: float) -> None:
        """Learn from one batch that ran."""
        if now - seconds - self._seen_at > STALE_S:
            self._forget()
        known = self.coefficients()
        if known is not None:
            seconds = min(seconds, self._surprise * (known[0] + known[1] * work))
        self._seen_at = now
        self._seen += 1
        self._rows = self._rows * FORGET + rows
        self._n = self._n * FORGET + 1.0
        self._x = self._x * FORGET + work
        self._y = self._y * FORGET + seconds
        self._xx = self._xx * FORGET + work * work
        self._xy = self._xy * FORGET + work * seconds

    def coefficients(self) -> tuple[float, float] | None:
        """Return (a, b) in seconds and seconds per unit of work, neither below 0; None before enough was seen."""
        if self._seen < ENOUGH:
            return None
        mean_x, mean_y = self._x / self._n, self._y / self._n
        variance = self._xx / self._n - mean_x * mean_x
        slope = (self._xy / self._n - mean_x * mean_y) / variance if variance > 1e-6 * mean_x * mean_x else 0.0
        intercept = mean_y - slope * mean_x
        if slope <= 0.0 or intercept < 0.0:
            return 0.0, mean_y / mean_x
        return intercept, slope

    def known(self) -> Cost | None:
        """Return what is known; None before enough was seen."""
        known = self.coefficients()
        return None if known is None else Cost(known[0], known[1] * self._x / self._rows, self._seen_at)

    def predict(self, batches: float, rows: float, now: float) -> float | None:
        """Return the seconds that `rows` mean rows in `batches` batches take on one runner."""
        known = self.coefficients() if now - self._seen_at <= STALE_S else None
        return None if known is None else known[0] * batches + known[1] * rows * self._x / self._rows
