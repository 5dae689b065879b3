"""The order of a run: its legs one after the other, or the search for the highest rate that holds an objective."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from beholder.load.arrivals import InFlight, constant
from beholder.load.fleet import Fleet, Seen
from beholder.load.histogram import merged
from beholder.load.result import leg_json
from beholder.load.server import Listener
from beholder.load.slo import Objective, Verdict, enough, interval, judge, search
from beholder.load.worker import Leg

PROBE_IN_FLIGHT = 32
PROBE_S = 5.0
STEPS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1)
"""Rates that find the knee, by what the server answers with `PROBE_IN_FLIGHT` requests in flight."""
FIRST = 0.7
LOWEST = 1 / 64
"""Where a search starts and gives up, by the same."""


class Stopped(Exception):
    """Ctrl-C ended a leg; what was seen until then is kept."""


class Run:
    """Runs legs and keeps what came of them.

    Args:
        tell: given each leg as `leg_json` tells it, when it is over.
    """

    def __init__(self, fleet: Fleet, listener: Listener, tell: Callable[[dict[str, Any]], None]) -> None:
        self._fleet, self._listener, self._tell = fleet, listener, tell
        self.legs: list[dict[str, Any]] = []

    def leg(self, leg: Leg) -> Seen:
        """Run one leg.

        Raises:
            Stopped: by hand.
        """
        self._listener.begin()
        seen = self._fleet.run(leg)
        told = leg_json(seen, self._listener.end())
        self.legs.append(told)
        self._tell(told)
        if not seen.is_whole:
            raise Stopped
        return seen

    def capacity(self, warmup_s: float, seconds: float) -> float:
        """Return how many requests per second the server takes with many in flight; at least 0.1."""
        leg = Leg(f"{PROBE_IN_FLIGHT} in flight", InFlight(PROBE_IN_FLIGHT), warmup_s, min(PROBE_S, seconds))
        return max(0.1, self.leg(leg).tally.sent / leg.seconds)


def knee_legs(capacity: float, warmup_s: float, seconds: float, *, is_even: bool) -> list[Leg]:
    """Return the legs that find the knee."""
    rates = [float(f"{share * capacity:.3g}") for share in STEPS]
    return [rate_leg(rate, warmup_s, seconds, is_even=is_even) for rate in rates]


def rate_leg(rate: float, warmup_s: float, seconds: float, *, is_even: bool) -> Leg:
    """Return a leg of one rate."""
    return Leg(f"{rate:.4g}/s", constant(rate, warmup_s + seconds, is_even=is_even), warmup_s, seconds)


def verdicts_of(seen: Seen, objectives: Sequence[Objective]) -> list[Verdict]:
    """Judge a leg by each objective."""
    return [judge(objective, seen.tally.latency, seen.tally.lost) for objective in objectives]


def check_slo(legs: Sequence[Seen], objectives: Sequence[Objective]) -> dict[str, Any]:
    """Return whether all legs held all objectives, and by how much the worst one did or did not."""
    verdicts = [(seen, verdict) for seen in legs for verdict in verdicts_of(seen, objectives)]
    is_held = all(verdict.is_held for _, verdict in verdicts)
    seen, worst = min(verdicts, key=lambda pair: _margin(pair[1]))
    low, high = interval(worst.share, worst.requests) if worst.requests else (0.0, 1.0)
    sentence = (
        f"{seen.leg.name}: {worst.share:.2%} of {worst.requests} good requests within "
        f"{worst.objective.limit_s * 1e3:g} ms (95 % sure: {low:.1%} to {high:.1%})"
    )
    if not worst.requests:
        sentence = f"{seen.leg.name}: no good request was sent"
    requests = min(verdict.requests for _, verdict in verdicts)
    return _slo(objectives, is_held, sentence) | {"requests": requests, "rate": None}


def search_slo(
    run: Run, objectives: Sequence[Objective], warmup_s: float, seconds: float, repeats: int, *, is_even: bool
) -> dict[str, Any]:
    """Find the highest rate that holds all objectives, and say how sure that is."""
    capacity = run.capacity(warmup_s, seconds)
    ran: dict[float, list[Seen]] = {}

    def holds(rate: float) -> bool:
        seen = run.leg(rate_leg(rate, warmup_s, seconds, is_even=is_even))
        ran.setdefault(rate, []).append(seen)
        return all(verdict.is_held for verdict in verdicts_of(seen, objectives))

    found = search(holds, FIRST * capacity, lowest=LOWEST * FIRST * capacity, repeats=repeats)
    last = ran[found.rate][-found.runs :] if found.rate else []
    sentence = found.sentence + (f"; {_together(last, objectives)}" if last else "")
    requests = min((seen.tally.good for runs in ran.values() for seen in runs), default=0)
    return _slo(objectives, bool(found.rate), sentence) | {
        "rate": found.rate,
        "broken": found.broken,
        "runs": found.runs,
        "tried": [list(one) for one in found.tried],
        "requests": requests,
    }


def _together(runs: Sequence[Seen], objectives: Sequence[Objective]) -> str:
    """Say what the last runs of what was found showed, all together and one by one."""
    said = []
    for objective in objectives:
        whole = judge(objective, merged([seen.tally.latency for seen in runs]), sum(seen.tally.lost for seen in runs))
        each = [verdict.seen_s * 1e3 for seen in runs for verdict in verdicts_of(seen, [objective])]
        low, high = interval(whole.share, whole.requests)
        said.append(
            f"p{objective.percent:g} was {min(each):.3g} to {max(each):.3g} ms (median {statistics.median(each):.3g}), "
            f"{whole.share:.2%} of {whole.requests} in time (95 % sure: {low:.1%} to {high:.1%})"
        )
    return ", ".join(said)


def _slo(objectives: Sequence[Objective], is_held: bool, sentence: str) -> dict[str, Any]:
    text = ",".join(map(str, objectives))
    return {"text": text, "is_held": is_held, "sentence": sentence, "wanted_requests": enough(objectives)}


def _margin(verdict: Verdict) -> float:
    return verdict.share - verdict.objective.percent / 100 if verdict.requests else -1.0
