"""What a run found, as JSON: what was asked, on what, what came of it; nothing that is not needed to judge it."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from beholder.errors import InputError
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Seen
from beholder.load.histogram import Histogram
from beholder.load.server import Told

FORMAT = 1
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
Json = dict[str, Any]


@dataclass
class Result:
    """One run.

    Attributes:
        config: as it was asked for, for people and for `compare`.
        versions: of what sent, and of what answered as far as it says.
        legs: what `leg_json` made.
        slo: what was asked and found; empty where nothing was.
        doubts: why the figures may not say what they seem to.
    """

    config: Json
    versions: Json
    legs: list[Json] = field(default_factory=list)
    slo: Json = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the file's text."""
        whole = {"beholder_load": FORMAT, **{name: getattr(self, name) for name in self.__dataclass_fields__}}
        return json.dumps(finite(whole), separators=(",", ":"), allow_nan=False) + "\n"


def read_result(path: Path) -> Result:
    """Read what `to_json` wrote.

    Raises:
        InputError: it can't be read, or was written by something else.
    """
    try:
        whole = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(whole, dict) or whole.get("beholder_load") != FORMAT:
        raise InputError(f"{path} is no result of `beholder load --json` (of format {FORMAT})")
    try:
        return Result(**{name: whole[name] for name in Result.__dataclass_fields__})
    except KeyError as error:
        raise InputError(f"{path} has no {error.args[0]!r}") from error


def client_versions() -> Json:
    """Return what sends: packages, interpreter, machine."""
    found: Json = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    for package in ("beholder", "grpcio", "protobuf"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def leg_json(seen: Seen, told: Told | None) -> Json:
    """Return what there is to say of a leg, as JSON will hold it: reading it again changes nothing."""
    leg, tally = seen.leg, seen.tally
    seconds = leg.seconds if seen.is_whole else max(0.001, min(leg.seconds, seen.elapsed_s - leg.warmup_s))
    is_closed = isinstance(leg.pattern, InFlight)
    found = {
        "name": leg.name,
        "in_flight": leg.pattern.calls if isinstance(leg.pattern, InFlight) else None,
        "rate": None if isinstance(leg.pattern, InFlight) else leg.pattern.mean,
        "warmup_s": leg.warmup_s,
        "seconds": seconds,
        "is_closed": is_closed,
        "is_whole": seen.is_whole,
        "sent": tally.sent,
        "answered": tally.answered,
        "failed": tally.failed,
        "cancelled": tally.cancelled,
        "good": tally.good,
        "lost": tally.lost,
        "unexpected": tally.unexpected,
        "warmed_up": tally.warmed_up,
        "throughput": tally.in_time / seconds,
        "outcomes": [[kind, code, count] for (kind, code), count in sorted(tally.outcomes.items())],
        "examples": [[kind, code, messages] for (kind, code), messages in sorted(tally.examples.items())],
        "latency": tally.latency.to_json(),
        "latency_ms": latency_ms(tally.latency, tally.lost),
        "service_ms": latency_ms(tally.service),
        "lag_ms": latency_ms(tally.lag),
        "by_ask": {ask: latency_ms(its) | {"count": its.count} for ask, its in sorted(tally.by_ask.items())},
        "blocks": [latency_ms(block) | {"count": block.count} for block in tally.blocks],
        "seconds_seen": _seconds(seen),
        "client_cpu": list(seen.cpu),
        "server": vars(told) if told else None,
    }
    whole: Json = finite(found)
    return whole


def latency_ms(histogram: Histogram, never: int = 0) -> Json:
    """Return percentiles in milliseconds; those of requests that were never answered are infinite."""
    found = {f"p{percent:g}": histogram.percentile_s(percent, never) * 1e3 for percent in PERCENTILES}
    return found | {"mean": histogram.mean_s * 1e3, "max": histogram.max_s * 1e3}


def _seconds(seen: Seen) -> list[Json]:
    found = []
    for number in range(max(seen.tally.seconds, default=-1) + 1):
        second = seen.second(number)
        counts = {name: getattr(second, name) for name in ("sent", "answered", "failed", "cancelled")}
        times = {f"p{percent:g}": second.latency.percentile_s(percent) * 1e3 for percent in (50.0, 99.0)}
        found.append({"second": number, **counts, **times})
    return found


def of_json(value: Any) -> float:
    """Return a number that JSON can't hold as what it was: `inf` is written as text, what is not there as null."""
    return math.nan if value is None else float(value)


def finite(value: Any) -> Any:
    """Return the same with what JSON can't hold as `of_json` takes it, and floats to six digits."""
    if isinstance(value, float):
        if math.isfinite(value):
            return float(f"{value:.6g}") if abs(value) < 1e6 else round(value)
        return "inf" if value > 0 else None
    if isinstance(value, Mapping):
        return {key: finite(its) for key, its in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(its) for its in value]
    return value
