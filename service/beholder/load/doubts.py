"""Reasons to doubt a leg's figures, above all that the client was what was slow."""

import math
from collections.abc import Sequence
from typing import Any

from beholder.load.result import of_json

BUSY = 0.85
"""Cores that one process may use; Python runs on one, and near all of it requests wait for their turn to be sent."""
LATE_MS = 2.0
LATE_SHARE = 0.1
"""p99 of the lag that is too much: this long, and this share of the median latency."""
OTHERS = 0.02
"""Share of requests that the server counted and we did not send from which others are using it too."""
REMEDY = "add --processes, or send from another machine"


def doubts_of(leg: dict[str, Any]) -> dict[str, str]:
    """Return topic -> a sentence about one leg, as `leg_json` tells it."""
    found = dict[str, str]()
    cpu, lag_ms = max(leg["client_cpu"], default=0.0), of_json(leg["lag_ms"]["p99"])
    if cpu > BUSY:
        found["busy"] = f"the client may be what is slow: a process of it used {cpu:.0%} of a core; {REMEDY}"
    median_ms = of_json(leg["latency_ms"]["p50"])
    bound_ms = max(LATE_MS, LATE_SHARE * median_ms) if math.isfinite(median_ms) else LATE_MS
    if not leg["is_closed"] and lag_ms > bound_ms:
        found["late"] = (
            f"the client was late: one request in a hundred was let go {lag_ms:.1f} ms or more after it was due, which "
            f"its latency counts; {REMEDY}"
        )
    if leg["server"]:
        sent, counted = leg["sent"] + leg["warmed_up"], sum(leg["server"]["requests"].values())
        if counted - sent > max(5, OTHERS * sent):
            found["others"] = f"others used the server too: it counted {counted - sent:.0f} requests that are not ours"
    if not leg["is_whole"]:
        found["cut"] = "it was stopped before its end"
    return found


def all_doubts(legs: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is to be doubted of all legs; what is true of several is said of the first."""
    first: dict[str, list[str]] = {}
    for leg in legs:
        for topic, sentence in doubts_of(leg).items():
            first.setdefault(topic, []).append(f"{leg['name']}: {sentence}")
    return [said[0] + (f" (and so in {len(said) - 1} more)" if len(said) > 1 else "") for said in first.values()]


def doubt_of_slo(requests: int, wanted: int) -> list[str]:
    """Return a sentence where a percentile rests on too few requests."""
    if requests >= wanted:
        return []
    return [f"{requests} requests a run are few for this percentile; {wanted} let ten exceed it: try a longer --for"]
