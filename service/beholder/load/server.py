"""What the server says of itself: its Prometheus series before, during and after a leg, and their differences."""

import re
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

LINE = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
TIMEOUT_S = 2.0
Labels = tuple[tuple[str, str], ...]
Series = dict[tuple[str, Labels], float]
"""(name, sorted labels) -> value."""
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def parse(text: str) -> Series:
    """Read Prometheus' text format; lines that are none are left out."""
    series: Series = {}
    for line in text.splitlines():
        if line.startswith("#") or not (match := LINE.match(line)):
            continue
        labels = tuple(sorted((key, _plain(value)) for key, value in LABEL.findall(match["labels"] or "")))
        series[match["name"], labels] = float(match["value"])
    return series


def _plain(value: str) -> str:
    return value.replace(r"\"", '"').replace(r"\n", "\n").replace(r"\\", "\\")


def scrape(addresses: Sequence[str]) -> Series:
    """Read /metrics of all replicas and add them up.

    Raises:
        OSError: one of them does not answer, or not with Beholder's series.
    """
    whole: Series = defaultdict(float)
    for address in addresses:
        with NO_PROXY.open(f"http://{address}/metrics", timeout=TIMEOUT_S) as answer:
            series = parse(answer.read().decode())
        if not any(name.startswith("beholder_") for name, _ in series):
            raise OSError(f"http://{address}/metrics has no series of Beholder")
        for key, value in series.items():
            whole[key] += value
    return dict(whole)


@dataclass
class Told:
    """What the series tell of a leg.

    Attributes:
        stages: of (stage, graph): passages, and their mean in milliseconds.
        batches: of each graph: batches, their mean rows, and how many had at most so many rows (cumulative).
        refusals, dropped: reason -> requests refused at the door, rows that never reached the device.
        cache: result -> look-ups.
        requests: (method, code) -> answers that the server counted.
        cpu_s: processor time that it used.
        memory_bytes: resident at the end.
        over_time: (seconds from the leg's start, rows that wait, rows in flight).
    """

    stages: list[dict[str, Any]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    refusals: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, float] = field(default_factory=dict)
    cache: dict[str, float] = field(default_factory=dict)
    requests: dict[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    memory_bytes: float = 0.0
    over_time: list[tuple[float, float, float]] = field(default_factory=list)


def told_between(before: Series, after: Series) -> Told:
    """Return what happened between two scrapes."""
    grown = {key: value - before.get(key, 0.0) for key, value in after.items()}
    return Told(
        stages=_means(grown, "beholder_stage_duration_seconds", ("stage", "graph")),
        batches=_batches(grown),
        refusals=_by(grown, "beholder_refusals_total", "reason"),
        dropped=_by(grown, "beholder_dropped_rows_total", "reason"),
        cache=_by(grown, "beholder_cache_lookups_total", "result"),
        requests=_by(grown, "beholder_requests_total", "method", "code"),
        cpu_s=grown.get(("process_cpu_seconds_total", ()), 0.0),
        memory_bytes=after.get(("process_resident_memory_bytes", ()), 0.0),
    )


def gauge(series: Series, name: str) -> float:
    """Return the sum of a series over all its labels."""
    return sum(value for (its, _), value in series.items() if its == name)


def infos(series: Series) -> dict[str, list[dict[str, str]]]:
    """Return what the server runs: its build, providers and scorers, as their labels say."""
    names = {"build": "beholder_build_info", "providers": "beholder_provider_info", "scorers": "beholder_scorer_info"}
    return {what: [dict(labels) for its, labels in sorted(series) if its == name] for what, name in names.items()}


def _by(grown: Series, name: str, *keys: str) -> dict[str, float]:
    found = dict[str, float]()
    for (its, labels), value in sorted(grown.items()):
        if its == name and value:
            key = " ".join(dict(labels).get(one, "") for one in keys)
            found[key] = found.get(key, 0.0) + value
    return found


def _means(grown: Series, name: str, keys: Iterable[str]) -> list[dict[str, Any]]:
    found = []
    for (its, labels), count in sorted(grown.items()):
        if its == f"{name}_count" and count:
            mean_ms = grown[f"{name}_sum", labels] / count * 1e3
            found.append({key: dict(labels).get(key, "") for key in keys} | {"count": count, "mean_ms": mean_ms})
    return found


def _batches(grown: Series) -> list[dict[str, Any]]:
    name, found = "beholder_batch_rows", []
    for one in _means(grown, name, ("graph",)):
        graph = one["graph"]
        at_most = {
            dict(labels)["le"]: value
            for (its, labels), value in grown.items()
            if its == f"{name}_bucket" and dict(labels).get("graph") == graph
        }
        ordered = dict(sorted(at_most.items(), key=lambda pair: float(pair[0])))
        found.append({"graph": graph, "count": one["count"], "mean_rows": one["mean_ms"] / 1e3, "at_most": ordered})
    return found


class Listener:
    """Scrapes while a leg runs, without holding up whoever asks it to.

    Args:
        addresses: of /metrics, of all replicas; none: nothing is told.
    """

    def __init__(self, addresses: Sequence[str], every_s: float = 1.0) -> None:
        self._addresses, self._every_s = addresses, every_s
        self._thread = ThreadPoolExecutor(1, "scrape")
        self._scrape: Future[Series] | None = None
        self._asked_s = 0.0
        self._before: Series | None = None
        self._over_time: list[tuple[float, float, float]] = []

    def begin(self) -> None:
        """Scrape before a leg."""
        self._scrape, self._over_time, self._asked_s = None, [], 0.0
        self._before = self._now()

    def tick(self, elapsed_s: float) -> None:
        """Scrape in the background where it is time; `elapsed_s` is that of the leg."""
        if not self._addresses:
            return
        if self._scrape and self._scrape.done():
            if not self._scrape.exception():
                self._keep(self._scrape.result())
            self._scrape = None
        if self._scrape is None and elapsed_s >= self._asked_s + self._every_s:
            self._asked_s, self._scrape = elapsed_s, self._thread.submit(scrape, self._addresses)

    def end(self) -> Told | None:
        """Scrape after a leg and return what was told; None where the series could not be read."""
        after = self._now()
        if self._before is None or after is None:
            return None
        told = told_between(self._before, after)
        told.over_time = self._over_time
        return told

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _now(self) -> Series | None:
        try:
            return scrape(self._addresses) if self._addresses else None
        except (OSError, ValueError):
            return None

    def _keep(self, series: Mapping[tuple[str, Labels], float]) -> None:
        found = dict(series)
        rows = gauge(found, "beholder_queue_rows"), gauge(found, "beholder_in_flight_rows")
        self._over_time.append((round(self._asked_s, 2), *rows))
