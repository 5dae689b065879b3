"""When requests come: evenly at random, in bursts, in ramps, or as they were recorded; and who sends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beholder.types import Priority

Moments = NDArray[np.float64]

FOREVER_S = 60.0
"""The deadline of a call that brings none, as the service sets it."""


@dataclass(frozen=True)
class Caller:
    """A kind of caller.

    Attributes:
        share: of all requests.
        graphs: numbers of the graphs that a request asks.
        timeout_s: until the deadline; the service's own where the caller brings none.
        samples: in one request.
        insists: how often the sender asks anew, with a new deadline, `insists_after_s` after it failed.
        gives_up: the share of requests that is cancelled, evenly within `gives_up_s` after they were sent.
    """

    name: str
    share: float = 1.0
    priority: Priority = Priority.INTERACTIVE
    graphs: tuple[int, ...] = (0,)
    timeout_s: float = FOREVER_S
    samples: int = 1
    insists: int = 0
    insists_after_s: float = 1.0
    gives_up: float = 0.0
    gives_up_s: float = 0.5

    @property
    def rows(self) -> int:
        """What one request brings."""
        return self.samples * len(self.graphs)


def poisson(rate: float, seconds: float, rng: np.random.Generator) -> Moments:
    """Return moments that come at one rate, each by itself."""
    count = rng.poisson(rate * seconds)
    return np.sort(rng.uniform(0.0, seconds, count))


def ramp(rates: Sequence[float], seconds: float, rng: np.random.Generator) -> Moments:
    """Return moments whose rate goes from each of `rates` to the next in straight lines of equal length."""
    top = max(rates)
    moments = poisson(top, seconds, rng)
    at = np.interp(moments, np.linspace(0.0, seconds, len(rates)), rates)
    return moments[rng.uniform(0.0, top, len(moments)) < at]


def bursts(rate: float, seconds: float, rng: np.random.Generator, times: float = 4.0, mean_s: float = 1.0) -> Moments:
    """Return moments of a Poisson process of two states: quiet, and a fifth of the time `times` as busy as the mean.

    Args:
        rate: the mean.
        mean_s: how long a burst lasts, on average.
    """
    share = 0.2
    high, low = rate * times, rate * max(0.0, 1.0 - share * times) / (1.0 - share)
    parts, start, is_high = [], 0.0, False
    while start < seconds:
        length = rng.exponential(mean_s if is_high else mean_s * (1.0 - share) / share)
        parts.append(start + poisson(high if is_high else low, min(length, seconds - start), rng))
        start, is_high = start + length, not is_high
    return np.concatenate(parts)


def recorded(path: Path, rate: float, seconds: float) -> Moments:
    """Return the moments in a file, seconds one a line, stretched to come at `rate`, again and again for `seconds`."""
    moments = np.sort(np.loadtxt(path, ndmin=1))
    moments -= moments[0]
    period_s = len(moments) / rate
    moments *= (period_s - 1.0 / rate) / max(float(moments[-1]), 1e-9)
    times = int(np.ceil(seconds / period_s))
    again = (moments + np.arange(times)[:, None] * period_s).ravel()
    return again[again < seconds]


def who(callers: Sequence[Caller], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the number of the caller that sends each request."""
    shares = np.array([caller.share for caller in callers])
    return rng.choice(len(callers), count, p=shares / shares.sum())


def spread(sigma: float, rng: np.random.Generator, count: int = 4099) -> Moments:
    """Return factors around a mean of 1, log-normal, to be gone through again and again."""
    return np.exp(rng.normal(-sigma * sigma / 2.0, sigma, count))
