"""When requests are sent, decided before the first one is: a rate over time, at random or evenly, or a recording.

The moments depend on the seed alone, never on what the server does. Gaps are drawn in units of the expected number of
arrivals, which the rate over time turns into seconds, so that one way serves constants, ramps, steps and bursts.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CHUNK = 4096


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which the rate goes evenly from one value to another.

    Attributes:
        first, last: requests per second, 0 or more.
    """

    seconds: float
    first: float
    last: float

    @property
    def expected(self) -> float:
        """The mean number of arrivals."""
        return self.seconds * (self.first + self.last) / 2

    def when(self, expected: float) -> float:
        """Return the seconds from the segment's start at which so many arrivals are expected."""
        slope = (self.last - self.first) / self.seconds
        # first * t + slope * t^2 / 2 = expected; this form of the root has no difference of near numbers.
        root = math.sqrt(max(0.0, self.first * self.first + 2 * slope * expected))
        return min(self.seconds, 2 * expected / (self.first + root)) if expected > 0 else 0.0


@dataclass(frozen=True)
class Rate:
    """A rate over time.

    Attributes:
        segments: one after the other.
        is_even: gaps of one length where the rate is constant; else a Poisson process, as independent callers make.
    """

    segments: tuple[Segment, ...]
    is_even: bool = False

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(max(segment.first, segment.last) for segment in self.segments)

    @property
    def mean(self) -> float:
        """The mean rate."""
        return sum(segment.expected for segment in self.segments) / self.seconds

    def times(self, seed: int) -> Iterator[float]:
        """Yield the seconds of each arrival from the start, in order."""
        marks = self._marks(seed)
        mark = next(marks)
        begin_s, begin = 0.0, 0.0
        for segment in self.segments:
            end = begin + segment.expected
            while mark < end:
                yield begin_s + segment.when(mark - begin)
                mark = next(marks)
            begin_s, begin = begin_s + segment.seconds, end

    def _marks(self, seed: int) -> Iterator[float]:
        if self.is_even:
            yield from itertools.count(0.5)
        dice, reached = np.random.default_rng(seed), 0.0
        while True:
            sums = reached + np.cumsum(dice.exponential(size=CHUNK))
            yield from sums.tolist()
            reached = float(sums[-1])


@dataclass(frozen=True)
class Recorded:
    """Moments that were recorded.

    Attributes:
        moments: seconds from the start, in order.
        asks, pictures: for each, which of the mix's it is; -1 leaves the choice to the mix's weights.
    """

    moments: tuple[float, ...]
    asks: tuple[int, ...]
    pictures: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts: to the last arrival."""
        return self.moments[-1]

    @property
    def mean(self) -> float:
        """The mean rate."""
        return len(self.moments) / self.seconds if self.seconds else 0.0

    @property
    def peak(self) -> float:
        """The most arrivals in any second."""
        return float(np.bincount(np.asarray(self.moments, np.float64).astype(np.int64)).max())

    def times(self, seed: int) -> Iterator[float]:
        """Yield the seconds of each arrival from the start."""
        return iter(self.moments)


@dataclass(frozen=True)
class InFlight:
    """A closed loop: so many calls, each followed at once by the next. It waits for a slow server, as open loops don't.

    Attributes:
        calls: at the same time, over all processes.
    """

    calls: int


Pattern = Rate | Recorded | InFlight


def constant(rate: float, seconds: float, *, is_even: bool = False) -> Rate:
    """Return one rate for some seconds."""
    return Rate((Segment(seconds, rate, rate),), is_even)


def ramp(first: float, last: float, seconds: float, *, is_even: bool = False) -> Rate:
    """Return a rate that goes evenly from one value to another."""
    return Rate((Segment(seconds, first, last),), is_even)


def bursts(
    rate: float, burst: float, length_s: float, every_s: float, seconds: float, *, is_even: bool = False
) -> Rate:
    """Return a rate with bursts of another rate, the first one a quiet stretch after the start.

    Args:
        length_s: of a burst; less than `every_s`, which is from one's start to the next one's.
    """
    segments, left_s = list[Segment](), seconds
    for is_burst in itertools.cycle((False, True)):
        stretch_s = min(left_s, length_s if is_burst else every_s - length_s)
        segments.append(Segment(stretch_s, *(2 * (burst if is_burst else rate,))))
        left_s -= stretch_s
        if left_s <= 1e-9:
            return Rate(tuple(segments), is_even)
    raise AssertionError  # a cycle has no end


def share(times: Iterator[float], worker: int, workers: int) -> Iterator[tuple[int, float]]:
    """Yield (number, seconds) of one worker's arrivals: every so many, so that all together send each once."""
    return itertools.islice(enumerate(times), worker, None, workers)


def steps(rates: Sequence[float], seconds: float, *, is_even: bool = False) -> list[Rate]:
    """Return constant rates, each to be measured by itself."""
    return [constant(rate, seconds, is_even=is_even) for rate in rates]
