"""Rates and latencies that go together: each server by the number of calls in flight, and all at equal p99."""

import itertools
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.scorer_report import table

Point = tuple[float, float]
"""(p99 in milliseconds, answers per second)."""


def middle(rounds: Iterable[Mapping[str, Any]], key: str) -> float:
    """Return the median over rounds."""
    return statistics.median(one[key] for one in rounds)


def told(shown: Mapping[str, Any], ours: str) -> Iterator[str]:
    """Yield the tables, where there is something to make them of."""
    counts = sorted({int(count) for entry in shown.values() for count in entry["loads"]})
    complete = {key: entry["loads"] for key, entry in shown.items() if len(entry["loads"]) == len(counts)}
    if len(counts) < 2:
        return
    curves = {key: [_point(loads[str(count)]) for count in counts] for key, loads in complete.items()}
    head = ("requests/s, p99 ms by calls in flight", *map(str, counts))
    rows = [[shown[key]["name"], *(f"{rate:.0f}, {p99:.0f}" for p99, rate in curve)] for key, curve in curves.items()]
    yield table(head, rows)[0] + "\n\n"
    if ours not in curves:
        return
    limits = sorted(p99 for p99, _ in curves[ours])
    rows = [[shown[key]["name"], *(_cell(rate_at(curve, limit)) for limit in limits)] for key, curve in curves.items()]
    yield table(("most requests/s within a p99 of", *(f"{limit:.0f} ms" for limit in limits)), rows)[0] + "\n"
    others = {key: curve for key, curve in curves.items() if not key.startswith(ours)}
    for key in (key for key in curves if key.startswith(ours)):
        said = _verdict(shown, curves[key], others, limits)
        yield f"\n{shown[key]['name']} against the best of the others: {said}.\n"
    yield "\n"


def _point(rounds: Sequence[Mapping[str, Any]]) -> Point:
    return middle(rounds, "p99_ms"), middle(rounds, "per_s")


def rate_at(curve: Sequence[Point], p99_ms: float) -> float:
    """Return the highest rate of a server that keeps its p99 within a limit; 0 where nothing does."""
    rates = [rate for p99, rate in curve if p99 <= p99_ms]
    for (low, less), (high, more) in itertools.pairwise(curve):
        if low <= p99_ms < high:
            rates.append(less + (more - less) * (p99_ms - low) / (high - low))
    return max(rates, default=0.0)


def _cell(rate: float) -> str:
    return f"{rate:.0f}" if rate else "none"


def _verdict(
    shown: Mapping[str, Any], ours: Sequence[Point], others: Mapping[str, Sequence[Point]], limits: Sequence[float]
) -> str:
    """Say how far one server is from the best of the others within each limit."""
    said = []
    for limit in limits:
        rates = {key: rate_at(curve, limit) for key, curve in others.items()}
        best = max(rates, key=lambda key: rates[key], default="")
        if best and rates[best]:
            said.append(f"{rate_at(ours, limit) / rates[best]:.2f} of {shown[best]['name']} within {limit:.0f} ms")
    return "; ".join(said) or "none kept any of these"
