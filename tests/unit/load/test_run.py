"""The order of a run, and the search for a rate, on a queue on paper: one server, 10 ms each, in order."""

import heapq
from typing import Any

import pytest

from beholder.load.arrivals import InFlight, constant
from beholder.load.fleet import Fleet, Seen
from beholder.load.mix import Kind
from beholder.load.run import STEPS, Run, Stopped, check_slo, knee_legs, rate_leg, search_slo
from beholder.load.server import Listener
from beholder.load.slo import parse_slo
from beholder.load.tally import Came, Tally
from beholder.load.worker import Leg

SERVICE_S = 0.01


def simulated(leg: Leg, seed: int) -> Tally:
    """Return what comes of a leg."""
    tally, free_s = Tally(), 0.0
    pattern = leg.pattern
    arrivals = [0.0] * pattern.calls if isinstance(pattern, InFlight) else list(pattern.times(seed))
    heapq.heapify(arrivals)
    while arrivals:
        at = heapq.heappop(arrivals)
        free_s = max(free_s, at) + SERVICE_S
        tally.send(at)
        tally.note(Came(Kind.GOOD, "psnr", "OK", "", at, at, at, free_s), leg.warmup_s, leg.seconds)
        if isinstance(pattern, InFlight) and free_s < leg.end_s:
            heapq.heappush(arrivals, free_s)
    return tally


class PaperFleet(Fleet):
    """Processes that send nothing."""

    def __init__(self, *, is_stopped: bool = False) -> None:
        self.legs: list[Leg] = []
        self._is_stopped = is_stopped

    def run(self, leg: Leg) -> Seen:
        self.legs.append(leg)
        return Seen(leg, simulated(leg, len(self.legs)), leg.end_s, 0, (0.1,), is_whole=not self._is_stopped)


def paper_run(*, is_stopped: bool = False) -> tuple[Run, PaperFleet, list[dict[str, Any]]]:
    fleet, told = PaperFleet(is_stopped=is_stopped), list[dict[str, Any]]()
    return Run(fleet, Listener([]), told.append), fleet, told


def test_the_capacity_is_what_a_full_closed_loop_takes() -> None:
    run, fleet, told = paper_run()
    assert run.capacity(1.0, 60.0) == pytest.approx(100, rel=0.02)
    assert fleet.legs[0].seconds == 5.0
    assert run.legs == told
    assert told[0]["server"] is None


def test_the_knee_is_looked_for_on_both_sides_of_the_capacity() -> None:
    legs = knee_legs(100.0, 1.0, 4.0, is_even=True)
    assert [leg.pattern.peak for leg in legs] == pytest.approx([100 * step for step in STEPS])  # type: ignore[union-attr]
    assert legs[0].pattern == constant(25, 5.0, is_even=True)
    assert legs[-1].name == "110/s"


def test_the_search_finds_the_rate_that_the_queue_can_take() -> None:
    run, fleet, _ = paper_run()
    objectives = parse_slo("p99=50ms")
    slo = search_slo(run, objectives, 1.0, 60.0, 3, is_even=False)
    assert slo["is_held"]
    assert slo["rate"] < slo["broken"] < slo["rate"] * 1.06

    def share_in_time(rate: float) -> float:
        latency = simulated(rate_leg(rate, 10.0, 2000.0, is_even=False), 99).latency
        return latency.within(0.05) / latency.count

    assert share_in_time(slo["rate"] * 0.95) > 0.99 > share_in_time(slo["broken"] * 1.1)
    assert [leg.name for leg in fleet.legs[-3:]] == [f"{slo['rate']:.4g}/s"] * 3
    assert len(slo["tried"]) == len(fleet.legs) - 1
    assert slo["sentence"].startswith(f"held in 3 of 3 runs at {slo['rate']:.3g}/s")


def test_legs_are_judged_by_the_worst() -> None:
    seen = [PaperFleet().run(rate_leg(rate, 1.0, 20.0, is_even=False)) for rate in (10.0, 150.0)]
    held, broken = (check_slo(some, parse_slo("p50=20ms,p90=50ms")) for some in (seen[:1], seen))
    assert (held["is_held"], broken["is_held"]) == (True, False)
    assert broken["sentence"].startswith("150/s: ")
    assert "(95 % sure: " in broken["sentence"]


def test_a_leg_that_was_stopped_is_kept() -> None:
    run, _, told = paper_run(is_stopped=True)
    with pytest.raises(Stopped):
        run.leg(rate_leg(10.0, 0.0, 5.0, is_even=True))
    assert len(run.legs) == len(told) == 1
