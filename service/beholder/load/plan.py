"""What is to be run, decided before anything is."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from beholder.load.arrivals import InFlight, Pattern, Rate, Recorded, Segment, bursts, constant, ramp
from beholder.load.mix import Mix
from beholder.load.words import BurstWords, RateWords
from beholder.load.worker import Leg

PROCESS_RATE = 600.0
"""Requests per second that one process sends without being late: it spends about 0.5 ms of processor on each."""


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        legs: none where `needs_capacity`: their rates depend on what the server can do.
    """

    mix: Mix
    legs: Sequence[Leg]
    needs_capacity: bool

    def processes(self) -> int:
        """Return how many processes send: as few as keep up, and at most one for each core."""
        cores = os.cpu_count() or 1
        peaks = [peak_of(leg.pattern) for leg in self.legs]
        wanted = math.ceil(max(peaks) / PROCESS_RATE) if peaks else max(1, cores // 4)
        return max(1, min(cores, wanted))


def peak_of(pattern: Pattern) -> float:
    """Return the highest rate of a pattern; of a closed loop a guess, each call taking 10 ms or more."""
    return pattern.calls * 100 if isinstance(pattern, InFlight) else pattern.peak


def rate_legs(
    rate: RateWords, burst: BurstWords | None, warmup_s: float, seconds: float, *, is_even: bool
) -> list[Leg]:
    """Return a leg for each step, or the one of a ramp or of bursts.

    A ramp and bursts have a warm-up at their first rate.
    """
    if rate.ramp:
        first, last = rate.ramp
        pattern = _warmed(ramp(first, last, seconds, is_even=is_even), first or last / 10, warmup_s)
        return [Leg(f"{first:g}..{last:g}/s", pattern, warmup_s, seconds)]
    legs = []
    for step in rate.steps:
        name, pattern = f"{step:.4g}/s", constant(step, warmup_s + seconds, is_even=is_even)
        if burst:
            name = f"{step:.4g}/s, bursts of {burst.rate:.4g}/s"
            shape = bursts(step, burst.rate, burst.length_s, burst.every_s, seconds, is_even=is_even)
            pattern = _warmed(shape, step, warmup_s)
        legs.append(Leg(name, pattern, warmup_s, seconds))
    return legs


def closed_legs(counts: Sequence[int], warmup_s: float, seconds: float) -> list[Leg]:
    """Return a closed loop for each number of requests in flight."""
    return [Leg(f"{count} in flight", InFlight(count), warmup_s, seconds) for count in counts]


def recorded_leg(recorded: Recorded, name: str) -> Leg:
    """Return the leg of a recording, all of which is measured."""
    return Leg(name, recorded, 0.0, max(recorded.seconds, 0.001))


def _warmed(rate: Rate, first: float, warmup_s: float) -> Rate:
    return Rate((Segment(warmup_s, first, first), *rate.segments), rate.is_even) if warmup_s else rate
