"""Service level objectives: how they are written, whether a leg held them, and the highest rate that does.

The search knows no clock and no server: it asks a function whether a rate holds, and that function may be a queue on
paper. One run says little near the edge, so a rate is given up only after failing twice, and what is found must hold
again.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from beholder.load.histogram import Histogram

FORM = re.compile(r"p(?P<percent>\d+(?:\.\d+)?)\s*=\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>us|ms|s)", re.ASCII)
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
WANTED = "want a percentile and a time with its unit, such as p99=50ms or p50=20ms,p99.9=0.5s"


@dataclass(frozen=True)
class Objective:
    """A percentile of latency that must not be exceeded.

    Attributes:
        percent: above 0, below 100.
    """

    percent: float
    limit_s: float

    def __str__(self) -> str:
        return f"p{self.percent:g}={self.limit_s * 1e3:g}ms"


@dataclass(frozen=True)
class Verdict:
    """Whether a leg held an objective.

    Attributes:
        seen_s: the percentile seen; infinite where too many good requests were never answered.
        share: of good requests that were answered within the limit; NaN where there was none.
        requests: good ones sent.
    """

    objective: Objective
    seen_s: float
    share: float
    requests: int

    @property
    def is_held(self) -> bool:
        """Whether at least the share that the percentile asks for came in time."""
        return self.requests > 0 and self.share * 100 >= self.objective.percent


def parse_slo(text: str) -> list[Objective]:
    """Read `p99=50ms`, or several with commas.

    Raises:
        ValueError: it is none; the message says what is wanted.
    """
    found = list[Objective]()
    for part in text.split(","):
        match = FORM.fullmatch(part.strip())
        if not match:
            raise ValueError(f"{WANTED}, got {part.strip()!r}")
        percent, limit_s = float(match["percent"]), float(match["value"]) * UNITS[match["unit"]]
        if not 0 < percent < 100:
            raise ValueError(f"want a percentile above 0 and below 100, got p{match['percent']}")
        if not limit_s:
            raise ValueError(f"want a time above 0, got {part.strip()!r}")
        found.append(Objective(percent, limit_s))
    return found


def judge(objective: Objective, latency: Histogram, lost: int) -> Verdict:
    """Judge a leg; `lost` good requests, which were never answered, were too late, however short they took to fail."""
    requests = latency.count + lost
    share = latency.within(objective.limit_s) / requests if requests else math.nan
    return Verdict(objective, latency.percentile_s(objective.percent, lost), share, requests)


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        rate: the highest that held in every one of its last runs; 0 where none did.
        broken: the lowest that failed above it; infinite where none was met.
        runs, held: how often `rate` was run at the end, and held.
        tried: (rate, whether it held) in order.
    """

    rate: float
    broken: float
    runs: int
    held: int
    tried: tuple[tuple[float, bool], ...]

    @property
    def sentence(self) -> str:
        """What was found, with how sure that is."""
        if not self.rate:
            return f"no rate held it, down to {min(rate for rate, _ in self.tried):.3g}/s"
        edge = f"; {self.broken:.3g}/s did not hold" if self.broken < math.inf else ""
        return f"held in {self.held} of {self.runs} runs at {self.rate:.3g}/s{edge}"


def search(
    holds: Callable[[float], bool], first: float, *, lowest: float, precision: float = 0.05, repeats: int = 3
) -> Found:
    """Find the highest rate that holds: doubling or halving to get around it, bisecting, then runs to be sure.

    Args:
        holds: runs a rate and tells; costs a run each time.
        first: where to start.
        lowest: where to give up.
        precision: how near, as a ratio, the rates that hold and don't must come.
        repeats: how often what is found must hold, each time; where it does not, a lower rate is tried.
    """
    tried = list[tuple[float, bool]]()

    def ask(rate: float) -> bool:
        held = holds(rate)
        tried.append((rate, held))
        return held

    low, high = _around(ask, first, lowest)
    while low and high / low > 1 + precision:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if ask(middle) or ask(middle) else (low, middle)
    while low:
        runs = [ask(low)]
        while runs[-1] and len(runs) < repeats:
            runs.append(ask(low))
        if all(runs):
            return Found(low, high, len(runs), len(runs), tuple(tried))
        low, high = low / (1 + precision), low
        if low < lowest:
            break
    return Found(0.0, high, 0, 0, tuple(tried))


def _around(ask: Callable[[float], bool], first: float, lowest: float) -> tuple[float, float]:
    """Return a rate that held, or 0, and one that did not, or infinity."""
    low, high, rate = 0.0, math.inf, first
    while not low or high == math.inf:
        if ask(rate) or ask(rate):
            low, rate = rate, rate * 2
            if rate > first * 2**20:  # nothing breaks it
                break
        else:
            high, rate = rate, rate / 2
            if rate < lowest:
                break
    return low, high


def interval(share: float, requests: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) where there is nothing to say it of."""
    if not requests:
        return 0.0, 1.0
    centre, spread = (
        share + z * z / (2 * requests),
        z * math.sqrt(share * (1 - share) / requests + (z / (2 * requests)) ** 2),
    )
    scale = 1 + z * z / requests
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def enough(objectives: Sequence[Objective]) -> int:
    """Return how many requests the highest percentile needs so that ten of them may exceed it."""
    return math.ceil(round(1000 / (100 - max(one.percent for one in objectives)), 6))
