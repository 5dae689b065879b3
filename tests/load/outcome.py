"""What a simulated run says: goodput, latencies and ends, after the first part in which queues are still filling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from load.arrivals import Caller
from load.replica import End
from load.simulator import Ledger

SETTLED = 0.4
"""The first part of a run that is not counted."""


@dataclass(frozen=True)
class Outcome:
    """What became of the requests that were sent, or answered, once things had settled.

    Attributes:
        goodput: samples answered within their deadline per second, as a share of what the machines can do.
        requests: sent in all.
        batch_rows: mean.
        callers: by name: share of each end, and the latency of good answers at some percentiles, in ms;
            None where there are none.
    """

    goodput: float
    requests: int
    batch_rows: float
    callers: Mapping[str, Mapping[str, Any]]

    def share(self, caller: str, end: End) -> float:
        """Return the share of a caller's requests that ended so."""
        return float(self.callers[caller]["ends"].get(end.name, 0.0))

    def latency_ms(self, caller: str, percentile: int) -> float:
        """Return a percentile of good answers' latency; 0 where there are none."""
        return float(self.callers[caller][f"p{percentile}_ms"] or 0.0)


def outcome(ledger: Ledger, callers: Sequence[Caller], seconds: float, capacity: float) -> Outcome:
    """Read a ledger.

    Args:
        capacity: samples a second of all machines together.
    """
    names, ends = np.array(ledger.callers), np.array(ledger.ends)
    sent, ended = np.array(ledger.sent_s), np.array(ledger.ended_s)
    start = SETTLED * seconds
    samples = {caller.name: caller.samples for caller in callers}
    good = (ends == End.GOOD) & (ended > start) & (ended <= seconds)
    answered = sum(samples[name] * int(np.sum(good & (names == name))) for name in samples)
    by_caller = {}
    for name in samples:
        mine = (names == name) & (sent > start)
        counts = np.bincount(ends[mine], minlength=len(End)) / max(1, int(mine.sum()))
        latency_ms = (ended - sent)[mine & (ends == End.GOOD)] * 1e3
        by_caller[name] = {"ends": {end.name: round(float(counts[end]), 4) for end in End if counts[end]}}
        for percentile in (50, 95, 99):
            value = round(float(np.percentile(latency_ms, percentile)), 1) if len(latency_ms) else None
            by_caller[name][f"p{percentile}_ms"] = value
    goodput = answered / (seconds - start) / capacity
    return Outcome(round(goodput, 4), len(ends), round(float(np.mean(ledger.batches)), 2), by_caller)
