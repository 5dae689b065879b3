"""Numbers in cells of Markdown: the middle of all rounds with the lowest and the highest."""

import re
from collections.abc import Iterable, Sequence

from beholder.bench.ratio import Spread, spread
from bench.performance.asked import Json


def cell(its: Spread | Json, digits: int = 2) -> str:
    """Return a median and its spread, as in `0.97 (0.95 to 0.99)`; the median alone where there is no spread."""
    one = its if isinstance(its, Spread) else Spread(**its)
    median, low, high = (f"{value:.{digits}f}" for value in (one.median, one.low, one.high))
    return median if low == high else f"{median} ({low} to {high})"


def over(rounds: Sequence[Json], key: str) -> Spread:
    """Return the spread of one figure over rounds."""
    return spread([one[key] for one in rounds])


def ratio(upper: Sequence[Json], lower: Sequence[Json], key: str) -> Spread:
    """Return the spread of the ratios of each round."""
    return spread([one[key] / other[key] for one, other in zip(upper, lower, strict=True)])


def doubts(rounds: Iterable[Json]) -> list[str]:
    """Return each doubt as a line of a list; those that differ in numbers alone are one, with the first one's."""
    found: dict[str, list[str]] = {}
    for said in (said for one in rounds for said in one["doubts"]):
        found.setdefault(re.sub(r"[\d.]+", "", said), []).append(said)
    return [
        f"- doubted: {first}" + (f" (and in {len(more)} more runs)" if more else "") for first, *more in found.values()
    ]
