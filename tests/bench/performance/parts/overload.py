"""Goodput of a real server that is asked more than it can do; its simulation is `make overload`."""

from collections.abc import Iterator, Sequence

from beholder.bench.process import Server
from beholder.bench.ratio import spread
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Fleet
from bench.machine import usable_cores
from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import answered, drive, poisson, settings
from bench.performance.words import cell, over
from bench.scorer_report import table

LOADS = (1.0, 2.0, 3.0)
IN_FLIGHT = 32
SHORT, LONG = 10, 40
"""Deadlines, in times of one call alone; half of the calls have the short one."""
LEAST_S = 0.05


class Overload(Part):
    """Independent callers with deadlines, at multiples of the capacity, in each round."""

    name = "overload"
    title = "Goodput under overload"

    def measure(self, asked: Asked) -> Json:
        """Drive a server of each scorer."""
        return {scorer: self._scorer(scorer, asked) for scorer in asked.scorers}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the highest load."""
        for scorer, its in found.items():
            name = list(its["loads"])[-1]
            plain, aside = (cell(spread(_shares(its, name, is_aside))) for is_aside in (False, True))
            yield f"`{scorer}`, goodput at {name} over its peak", f"{plain}; callers aside {aside}", "at least 0.90"

    def told(self, found: Json) -> Iterator[str]:
        """Tell goodput over its peak."""
        yield (
            "Calls of independent callers (Poisson) at multiples of what the server answers with "
            f"{IN_FLIGHT} in flight, half of them with a deadline of {SHORT} times what one call alone takes, half of "
            f"{LONG} times. Goodput is answers before their deadlines; the peak is the most of all runs of a round, "
            "the closed loop included. Callers share the cores: *callers aside* compares what was done on each core "
            "that they left. This is a real server; what the engine's own code does over many seeds and machines is "
            "simulated (`make overload`)."
        )
        head = ("", "offered per s", "goodput per s", "÷ peak", "÷ peak, callers aside", "callers' cores", "ends")
        rows = []
        for scorer, its in found.items():
            for name, rounds in its["loads"].items():
                offered = spread([one["sent"] / its["seconds"] for one in rounds]).median
                cells = [f"`{scorer}`, {name}", f"{offered:.0f}", f"{over(rounds, 'per_s').median:.1f}"]
                cells += [cell(spread(_shares(its, name, is_aside))) for is_aside in (False, True)]
                rows.append([*cells, f"{over(rounds, 'client_cores').median:.2f}", _ends(rounds)])
        yield from table(head, rows)

    def _scorer(self, scorer: str, asked: Asked) -> Json:
        name_of = {load: f"{load:g}x" for load in LOADS}
        found: Json = {"closed loop": [], **{name: [] for name in name_of.values()}}
        with (
            Server(asked.environ, dict(settings(scorer))) as server,
            Fleet(server.address, asked.mix(scorer)) as free,
        ):
            alone_s = answered(drive(free, server, InFlight(1), asked), "alone")["p50_ms"] / 1e3
            short_s, long_s = (max(LEAST_S, times * alone_s) for times in (SHORT, LONG))
            mix = asked.mix(scorer, hurried=0.5, hurry_s=short_s, timeout_s=long_s)
            with Fleet(server.address, mix) as hurried:
                for _ in range(asked.rounds):
                    closed = answered(drive(free, server, InFlight(IN_FLIGHT), asked), "closed loop")
                    found["closed loop"].append(closed)
                    for load, name in name_of.items():
                        found[name].append(drive(hurried, server, poisson(load * closed["per_s"], asked), asked))
        times = {"alone_ms": alone_s * 1e3, "deadlines_s": [short_s, long_s], "seconds": asked.seconds}
        return times | {"cores": usable_cores(), "loads": found}


def _shares(its: Json, name: str, is_aside: bool) -> list[float]:
    """Return goodput over the peak of its round, for each round."""

    def value(one: Json) -> float:
        left = max(0.01, 1 - one["client_cores"] / its["cores"]) if is_aside else 1.0
        return float(one["per_s"]) / left

    rounds = zip(*its["loads"].values(), strict=True)
    peaks = [max(map(value, every)) for every in rounds]
    return [value(one) / peak for one, peak in zip(its["loads"][name], peaks, strict=True)]


def _ends(rounds: Sequence[Json]) -> str:
    counts: dict[str, int] = {}
    for one in rounds:
        for _, code, times in one["outcomes"]:
            counts[code] = counts.get(code, 0) + times
    whole = sum(counts.values())
    return ", ".join(f"{code} {times / whole:.0%}" for code, times in sorted(counts.items(), key=lambda it: -it[1]))
