"""What repeated images gain, and what the cache costs those that are new."""

from collections.abc import Iterator

from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import Entrant, in_turn, settings
from bench.performance.words import cell, doubts, over, ratio
from bench.scorer_report import table

IN_FLIGHT = 32
OFF, NEW, REPEATED = "no cache", "cache, all images new", "cache, all images repeated"


class Cache(Part):
    """A server without a cache, and one as it comes, in turn."""

    name = "cache"
    title = "Repeated images"

    def measure(self, asked: Asked) -> Json:
        """Drive both."""
        found = {}
        for scorer in asked.scorers:
            off, on = settings(scorer), (("scorers", scorer),)
            entrants = [
                Entrant(OFF, asked.mix(scorer), IN_FLIGHT, off),
                Entrant(NEW, asked.mix(scorer), IN_FLIGHT, on),
                Entrant(REPEATED, asked.mix(scorer, repeated=1.0), IN_FLIGHT, on),
            ]
            found[scorer] = in_turn(entrants, asked)
        return found

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the factors of repeated images."""
        for scorer, ways in found.items():
            rate, cpu = (cell(ratio(ways[REPEATED], ways[OFF], key)) for key in ("per_s", "server_ms"))
            yield f"`{scorer}`, all images repeated over no cache", f"{rate} times the rate, {cpu} times the CPU", ""

    def told(self, found: Json) -> Iterator[str]:
        """Tell the factors."""
        yield f"{IN_FLIGHT} calls in flight; factors of each round against no cache. Callers are on the same cores."
        head = ("", "per s", "factor", "server's CPU ms", "factor", "p50 ms", "p99 ms")
        rows = []
        for scorer, ways in found.items():
            for name, rounds in ways.items():
                cells = [f"`{scorer}`, {name}"]
                for key, digits in (("per_s", 1), ("server_ms", 2)):
                    cells += [f"{over(rounds, key).median:.{digits}f}", cell(ratio(rounds, ways[OFF], key))]
                rows.append([*cells, *(f"{over(rounds, key).median:.1f}" for key in ("p50_ms", "p99_ms"))])
        yield from table(head, rows)
        every = (one for ways in found.values() for rounds in ways.values() for one in rounds)
        yield from filter(None, ["\n".join(doubts(every))])
