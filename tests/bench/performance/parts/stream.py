"""Messages of a stream, and requests of several images, against a call for each image."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from beholder.bench.ratio import Spread, spread
from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import Entrant, in_turn, settings
from bench.performance.words import cell, doubts, over
from bench.scorer_report import table

IMAGES = 32
"""In flight, however many are in one request."""
TOGETHER = 8
WAYS = {
    "a call for each image": (1, False),
    "a message of a stream for each": (1, True),
    f"a call for {TOGETHER} images": (TOGETHER, False),
    f"a message of a stream for {TOGETHER}": (TOGETHER, True),
}
FIRST = next(iter(WAYS))
CHEAP, CHEAP_IMAGE = "sharpness", "64x64"
"""Work of next to nothing, so that what is left is the wire and the service."""


class Stream(Part):
    """All ways in turn, for the scorers asked for and for one that costs next to nothing."""

    name = "stream"
    title = "Streams and requests of several images"

    def measure(self, asked: Asked) -> Json:
        """Drive a server of each scorer in all ways."""
        found = {f"`{scorer}`, {asked.image}": _ways(scorer, asked) for scorer in asked.scorers}
        cheap = _ways(CHEAP, replace(asked, image=CHEAP_IMAGE))
        return found | {f"`{CHEAP}`, {CHEAP_IMAGE}: next to no work": cheap}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell a message of a stream over a call."""
        for what, ways in found.items():
            _, stream, *_ = ways.values()
            rate, cpu = (cell(_factor(stream, ways[FIRST], key, 1.0)) for key in ("per_s", "server_ms"))
            yield f"a message of a stream over a call, {what}", f"{rate} times the rate, {cpu} times the CPU", ""

    def told(self, found: Json) -> Iterator[str]:
        """Tell each way beside the first."""
        yield (
            f"{IMAGES} images in flight, the cache off. The factors are those of each round against {FIRST}: images "
            "per second, callers included on the same cores, and CPU time of the server and of the callers for an "
            "image, where less is better."
        )
        head = ("", "images/s", "factor", "server's CPU ms", "factor", "callers' CPU ms", "factor", "p99 ms")
        for what, ways in found.items():
            yield f"{what}:"
            yield from table(head, [_row(name, rounds, ways[FIRST]) for name, rounds in ways.items()])
            yield from filter(None, ["\n".join(doubts(one for rounds in ways.values() for one in rounds))])


def _ways(scorer: str, asked: Asked) -> Json:
    return in_turn(
        [
            Entrant(name, asked.mix(scorer, samples=samples), IMAGES // samples, settings(scorer), is_stream)
            for name, (samples, is_stream) in WAYS.items()
        ],
        asked,
    )


def _row(name: str, rounds: Sequence[Json], first: Sequence[Json]) -> list[str]:
    samples = WAYS[name][0]
    cells = [name]
    for key, share, digits in (("per_s", 1 / samples, 1), ("server_ms", samples, 2), ("client_ms", samples, 2)):
        cells.append(f"{over(rounds, key).median / share:.{digits}f}")
        cells.append(cell(_factor(rounds, first, key, share)) if name != FIRST else "1")
    return [*cells, f"{over(rounds, 'p99_ms').median:.0f}"]


def _factor(rounds: Sequence[Json], first: Sequence[Json], key: str, share: float) -> Spread:
    return spread([one[key] / share / other[key] for one, other in zip(rounds, first, strict=True)])
