"""Whether to try again, and when: exponential backoff with jitter that obeys the server and the deadline."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from beholder.errors import RETRYABLE, BeholderError, CapacityError, code_of


@dataclass(frozen=True)
class Retry:
    """The policy of one client.

    Attributes:
        retries: tries after the first.
        first_s: the wait before the first retry, doubled by each one after it.
        most_s: the longest wait of our own choosing; the server may ask for more.
        jitter: 0 to 1; spreads callers that were refused together.
    """

    retries: int = 4
    first_s: float = 0.1
    most_s: float = 5.0
    jitter: Callable[[], float] = random.random

    def delay_s(self, error: BeholderError, failures: int, left_s: float) -> float | None:
        """Return how long to wait before the next try; None where there must be none.

        The wait is what the server asked for plus half to all of our own backoff.

        Args:
            error: what the last try met.
            failures: tries that failed so far, at least 1.
            left_s: until the deadline.
        """
        if code_of(error) not in RETRYABLE or failures > self.retries:
            return None
        backoff_s = min(self.most_s, self.first_s * 2.0 ** (failures - 1)) * (0.5 + 0.5 * self.jitter())
        asked_s = error.retry_after_s if isinstance(error, CapacityError) else 0.0
        delay_s = asked_s + backoff_s
        return delay_s if delay_s < left_s else None
