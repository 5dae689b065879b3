"""A result in words and rows: what the terminal and the page both say."""

import math
from collections.abc import Sequence
from typing import Any

from beholder.load.mix import EXPECTED, Kind
from beholder.load.result import Result, of_json

KEPT = 0.95
LOST = 0.01
"""A leg kept up where this share of the rate sent was answered, and no more than this was lost."""
HEAD = ("leg", "good sent/s", "answered/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "lost", "server CPU ms each")


def keeps_up(leg: dict[str, Any]) -> bool:
    """Return whether a leg's good requests were answered as fast as they were sent."""
    offered = leg["good"] / leg["seconds"]
    return bool(leg["good"]) and leg["throughput"] >= KEPT * offered and leg["lost"] <= LOST * leg["good"]


def knee(legs: Sequence[dict[str, Any]]) -> str:
    """Say up to which rate the server kept up; empty where no two rates of good requests tell."""
    rates = sorted((leg["rate"], keeps_up(leg)) for leg in legs if leg["rate"] and leg["good"])
    if len({rate for rate, _ in rates}) < 2:
        return ""
    failing = min((rate for rate, kept in rates if not kept), default=math.inf)
    kept = max((rate for rate, kept in rates if kept and rate < failing), default=0.0)
    if failing == math.inf:
        return f"the server kept up with {kept:.4g}/s, the highest rate tried"
    if not kept:
        return f"the server did not keep up with {failing:.4g}/s, the lowest rate tried"
    return f"the knee: the server kept up with {kept:.4g}/s, and not with {failing:.4g}/s"


def headlines(result: Result) -> list[str]:
    """Return what a reader wants to know first."""
    found = [text for text in (knee(result.legs),) if text]
    if result.slo:
        held = "held" if result.slo["is_held"] else "not held"
        found.insert(0, f"{result.slo['text']}: {held}; {result.slo['sentence']}")
    return found


def rows(legs: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of each leg, under `HEAD`."""
    return [_row(leg) for leg in legs]


def _row(leg: dict[str, Any]) -> tuple[str, ...]:
    lost = leg["lost"] / leg["good"] if leg["good"] else 0.0
    requests = sum(leg["server"]["requests"].values()) if leg["server"] else 0
    cpu = f"{leg['server']['cpu_s'] / requests * 1e3:.2f}" if requests else ""
    times = (number(of_json(leg["latency_ms"][name])) for name in ("p50", "p90", "p99", "p99.9"))
    per_second = f"{leg['good'] / leg['seconds']:.1f}", f"{leg['throughput']:.1f}"
    return (leg["name"], *per_second, *times, f"{lost:.1%}" if lost else "0", cpu)


def number(value: float) -> str:
    """Return three digits; a dash where there is none, and what never came as infinite."""
    if math.isnan(value):
        return "-"
    return "∞" if math.isinf(value) else f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def outcome_rows(legs: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return (leg, kind, code, how many, a message) of everything but answers."""
    found = list[tuple[str, ...]]()
    for leg in legs:
        messages = {(kind, code): said for kind, code, said in leg["examples"]}
        for kind, code, count in leg["outcomes"]:
            if code != "OK":
                said = messages.get((kind, code), [""])[0]
                found.append((leg["name"], kind, code, str(count), said if len(said) <= 160 else said[:159] + "…"))
    return found


def failures(legs: Sequence[dict[str, Any]]) -> list[str]:
    """Say which requests came to another end than was meant, over all legs, with a message of each kind."""
    counts, said = dict[tuple[str, str], int](), dict[tuple[str, str], str]()
    for leg in legs:
        for kind, code, count in leg["outcomes"]:
            if code not in EXPECTED[Kind(kind)]:
                counts[kind, code] = counts.get((kind, code), 0) + count
        said = {(kind, code): messages[0] for kind, code, messages in leg["examples"]} | said
    return [
        f"{count} {kind} requests: {code}" + (f": {said[kind, code]}" if (kind, code) in said else "")
        for (kind, code), count in sorted(counts.items(), key=lambda pair: -pair[1])
    ]


def server_rows(legs: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return (leg, what, which, how many) of refusals, dropped rows and the cache."""
    found = list[tuple[str, ...]]()
    for leg in legs:
        for what, name in (("refused", "refusals"), ("row dropped", "dropped"), ("cache", "cache")):
            for which, count in (leg["server"] or {}).get(name, {}).items():
                found.append((leg["name"], what, which, f"{count:.0f}"))
    return found
