"""What changed between two results, and whether chance may have done it.

Where each side ran a leg several times, the noise is what those runs differ by, and counts. Where it ran once, the
leg's own stretches of time tell how much chance there is inside a run; what a machine does differently an hour later
is not in that, so such a change is only said to seem one.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from beholder.load.result import Result, of_json

STUDENT = {
    1: 63.66, 2: 9.93, 3: 5.84, 4: 4.61, 5: 4.04, 6: 3.71, 7: 3.50, 8: 3.36, 9: 3.25, 10: 3.17, 12: 3.06, 15: 2.95,
    20: 2.85, 30: 2.75, 60: 2.66, 120: 2.62,
}  # fmt: skip
"""Degrees of freedom -> how many standard errors hold 99 % of all differences."""
RUNS = 3
"""Runs of a leg on both sides from which their differences tell the noise."""
HIGHER_IS_BETTER = frozenset({"throughput", "answered", "rate held"})
METRICS = ("p50", "p90", "p99", "p99.9", "lost", "server cpu ms")
"""Beside `throughput` of a closed loop, and `answered` of an open one, whose rate is not the server's doing."""
UNITS = {"throughput": "/s", "rate held": "/s", "answered": "%", "lost": "%", "server cpu ms": "ms"}


@dataclass(frozen=True)
class Change:
    """One figure on both sides.

    Attributes:
        leg: its name.
        metric: times in milliseconds, lost and answered (within the leg's time) in percent of good requests.
        before, after: means over the runs.
        noise: how far apart they may be by chance (99 %), in the metric's unit; NaN where nothing tells.
        is_between_runs: whether the noise is that between runs.
    """

    leg: str
    metric: str
    before: float
    after: float
    noise: float
    is_between_runs: bool

    @property
    def ratio(self) -> float:
        """After to before."""
        return self.after / self.before if self.before else math.inf if self.after else 1.0

    @property
    def verdict(self) -> str:
        """The change in words: better, worse, or no more than noise."""
        has_end = math.isfinite(self.before) or math.isfinite(self.after)
        if math.isnan(self.noise) and (not has_end or math.isfinite(self.before - self.after)):
            return "can't tell"
        if self.before == self.after or abs(self.after - self.before) <= self.noise:
            return "noise"
        word = "better" if (self.after > self.before) == (self.metric in HIGHER_IS_BETTER) else "worse"
        return word if self.is_between_runs else f"seems {word}"


def compare_results(before: Result, after: Result) -> list[Change]:
    """Return the changes of all legs that both have."""
    old, new = _by_name(before), _by_name(after)
    found = [
        _change(name, metric, old[name], new[name])
        for name in old
        if name in new
        for metric in ("throughput" if old[name][0]["is_closed"] else "answered", *METRICS)
    ]
    return [*_rates_held(before.slo, after.slo), *found]


def _rates_held(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return how the rate that holds an objective changed; each side knows it to where the next one broke."""
    if not (old.get("rate") and new.get("rate") and old["text"] == new["text"]):
        return []
    noise = sum(of_json(side["broken"]) - side["rate"] for side in (old, new))
    return [Change(old["text"], "rate held", old["rate"], new["rate"], noise, is_between_runs=False)]


def different_terms(before: Result, after: Result) -> list[str]:
    """Return the settings that differ, so that nobody compares what can't be; versions differ on purpose."""
    names = sorted({*before.config, *after.config} - {"repeats", "started"})
    pairs = ((name, before.config.get(name), after.config.get(name)) for name in names)
    return [f"{name}: {old} → {new}" for name, old, new in pairs if old != new]


def _by_name(result: Result) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for leg in result.legs:
        found.setdefault(leg["name"], []).append(leg)
    return found


def _change(name: str, metric: str, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> Change:
    sides = [[_value(leg, metric) for leg in legs] for legs in (old, new)]
    before, after = (_mean(side) for side in sides)
    if min(map(len, sides)) >= RUNS:
        return Change(name, metric, before, after, noise_of(*sides), is_between_runs=True)
    inside = [[value for leg in legs for value in _inside(leg, metric)] for legs in (old, new)]
    return Change(name, metric, before, after, noise_of(*inside), is_between_runs=False)


def _value(leg: dict[str, Any], metric: str) -> float:
    if metric == "throughput":
        return float(leg["throughput"])
    if metric == "answered":
        return 100 * leg["throughput"] * leg["seconds"] / leg["good"] if leg["good"] else math.nan
    if metric == "lost":
        return 100 * leg["lost"] / leg["good"] if leg["good"] else math.nan
    if metric == "server cpu ms":
        # By the rate at which the server answers: it also worked for the warm-up, at about the same.
        requests = sum(leg["server"]["requests"].values()) if leg["server"] else 0
        return 1e3 * leg["server"]["cpu_s"] / requests if requests else math.nan
    return of_json(leg["latency_ms"][metric])


def _inside(leg: dict[str, Any], metric: str) -> Iterable[float]:
    """Yield the figure of each stretch of a leg."""
    if metric == "throughput":
        # The last second is often cut, and those before the warm-up's end don't count.
        first, last = math.ceil(leg["warmup_s"]), int(leg["warmup_s"] + leg["seconds"])
        yield from (float(one["answered"]) for one in leg["seconds_seen"] if first <= one["second"] < last)
    elif metric.startswith("p"):
        yield from (of_json(block[metric]) for block in leg["blocks"] if block["count"])


def noise_of(before: Sequence[float], after: Sequence[float]) -> float:
    """Return by how much two means may differ by chance: Welch's interval of their difference; NaN where unknown."""
    if min(len(before), len(after)) < 2 or not all(map(math.isfinite, (*before, *after))):
        return math.nan
    squares = [statistics.variance(side) / len(side) for side in (before, after)]
    if not sum(squares):
        return 0.0
    freedom = sum(squares) ** 2 / sum(
        square**2 / (len(side) - 1) for square, side in zip(squares, (before, after), strict=True)
    )
    return student(freedom) * math.sqrt(sum(squares))


def student(freedom: float) -> float:
    """Return Student's quantile for 99 %, two-sided, at the table's next lower degrees of freedom."""
    return STUDENT[max(one for one in STUDENT if one <= max(1.0, freedom))]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan
