"""The tail of the latency at 70 % of capacity, beside what one call alone takes."""

from collections.abc import Iterator
from dataclasses import replace

from beholder.bench.process import Server
from beholder.bench.ratio import Spread, spread
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Fleet
from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import answered, drive, poisson, settings
from bench.performance.words import cell, doubts, over
from bench.scorer_report import table

SHARE = 0.7
PROBE_IN_FLIGHT = 32
LONGER = 4
"""How many times as long the open loop runs: a percentile of 99 wants many requests."""


class Latency(Part):
    """One call alone, as many as fit, and independent callers, in each round."""

    name = "latency"
    title = "p99 at 70 % of capacity"

    def measure(self, asked: Asked) -> Json:
        """Drive a server of each scorer."""
        return {scorer: self._scorer(scorer, asked) for scorer in asked.scorers}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell p99 over the time of one call."""
        for scorer, its in found.items():
            yield f"`{scorer}`, p99 at {SHARE:.0%} of capacity over one call alone", cell(_times(its)), "under 3"

    def told(self, found: Json) -> Iterator[str]:
        """Tell p99 over the time of one call."""
        yield (
            f"In each round: one call alone, whose median is the service time; {PROBE_IN_FLIGHT} calls in flight, "
            f"whose rate is the capacity; then independent callers (Poisson) at {SHARE:.0%} of it, on the same cores. "
            "Latency counts from the moment a call was meant to be sent."
        )
        rows = []
        for scorer, its in found.items():
            cells = [f"`{scorer}`", cell(over(its["alone"], "p50_ms"), 1), cell(over(its["capacity"], "per_s"), 1)]
            cells += [cell(over(its["open"], key), 1) for key in ("per_s", "p50_ms", "p99_ms")]
            rows.append([*cells, cell(_times(its)), str(sum(one["sent"] for one in its["open"]))])
        head = ("", "one call, ms", "capacity per s", "open loop per s", "p50 ms", "p99 ms", "p99 ÷ one call", "calls")
        yield from table(head, rows)
        every = (one for its in found.values() for rounds in its.values() for one in rounds)
        yield from filter(None, ["\n".join(doubts(every))])

    def _scorer(self, scorer: str, asked: Asked) -> Json:
        found: Json = {"alone": [], "capacity": [], "open": []}
        with (
            Server(asked.environ, dict(settings(scorer))) as server,
            Fleet(server.address, asked.mix(scorer)) as fleet,
        ):
            for _ in range(asked.rounds):
                for name, calls in (("alone", 1), ("capacity", PROBE_IN_FLIGHT)):
                    found[name].append(answered(drive(fleet, server, InFlight(calls), asked), name))
                longer = replace(asked, seconds=LONGER * asked.seconds)
                rate = SHARE * found["capacity"][-1]["per_s"]
                found["open"].append(answered(drive(fleet, server, poisson(rate, longer), longer), "open loop"))
        return found


def _times(its: Json) -> Spread:
    """Return p99 of the open loop over the median of one call alone."""
    return spread([one["p99_ms"] / alone["p50_ms"] for one, alone in zip(its["open"], its["alone"], strict=True)])
