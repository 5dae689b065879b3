"""What came of requests, and from when their latency counts."""

import asyncio
import dataclasses
import math

import pytest

from beholder.load.arrivals import InFlight, Pattern, constant
from beholder.load.callers import Reply
from beholder.load.mix import GONE, Ask, Kind, Mix, Picture
from beholder.load.requests import Answer
from beholder.load.tally import BLOCKS, Came, Tally
from beholder.load.worker import Job, Leg, Sender

CAME = Came(Kind.GOOD, "psnr", "OK", "", intended=1.0, released=1.0, sent=1.0, done=1.5)


def tally_of(*came: Came, warmup_s: float = 1.0, seconds: float = 10.0) -> Tally:
    tally = Tally()
    for one in came:
        tally.send(one.intended)
        tally.note(one, warmup_s, seconds)
    return tally


def test_latency_counts_from_the_intended_moment_and_service_from_the_real_one() -> None:
    tally = tally_of(dataclasses.replace(CAME, intended=2.0, released=2.25, sent=2.5, done=3.0))
    assert tally.latency.percentile_s(50) == pytest.approx(1.0, rel=1e-3)
    assert tally.service.percentile_s(50) == pytest.approx(0.5, rel=1e-3)
    assert tally.lag.percentile_s(50) == pytest.approx(0.25, rel=1e-3)


def test_what_is_sent_is_answered_failed_or_cancelled() -> None:
    codes = [(Kind.GOOD, "OK")] * 5 + [(Kind.GOOD, "RESOURCE_EXHAUSTED"), (Kind.GOOD, "CANCELLED")]
    codes += [(Kind.BAD, "INVALID_ARGUMENT"), (Kind.HURRIED, "DEADLINE_EXCEEDED"), (Kind.CANCELLED, GONE)]
    tally = tally_of(*(dataclasses.replace(CAME, kind=kind, code=code) for kind, code in codes))
    assert (tally.sent, tally.answered, tally.failed, tally.cancelled) == (10, 5, 4, 1)
    assert (tally.good, tally.lost, tally.unexpected) == (7, 2, 2)
    assert tally.latency.count == 5


def test_the_warm_up_is_seen_but_not_counted() -> None:
    tally = tally_of(dataclasses.replace(CAME, intended=0.9, done=1.2), CAME)
    assert (tally.sent, tally.warmed_up, tally.latency.count) == (1, 1, 1)
    assert [tally.seconds[second].sent for second in (0, 1)] == [1, 1]
    assert tally.seconds[1].answered == 2


def test_what_is_answered_after_the_leg_has_its_latency_but_is_no_throughput() -> None:
    tally = tally_of(dataclasses.replace(CAME, intended=10.9, done=20.0))
    assert (tally.answered, tally.in_time) == (1, 0)
    assert tally.latency.max_s == pytest.approx(9.1)


def test_a_leg_is_cut_into_blocks_by_intended_moment() -> None:
    came = [dataclasses.replace(CAME, intended=1.0 + moment, done=30.0) for moment in (0.0, 0.99, 1.0, 9.99)]
    assert [block.count for block in tally_of(*came).blocks] == [2, 1, *[0] * (BLOCKS - 3), 1]


def test_tallies_of_processes_add_up() -> None:
    good, bad = CAME, dataclasses.replace(CAME, code="INTERNAL", message="oops", intended=4.0, done=4.5)
    both, apart = tally_of(good, bad), tally_of(good)
    apart.add(tally_of(bad))
    assert apart == both
    assert both.examples == {("good", "INTERNAL"): ["oops"]}


class Clock:
    """A clock that moves where it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class StallingCaller:
    """A server that answers at once, but stalls while `stall` lasts, and takes its caller with it."""

    def __init__(self, clock: Clock, stall: tuple[float, float]) -> None:
        self._clock, self._stall = clock, stall

    async def ask(self, request: bytes, timeout_s: float, leave_s: float = math.inf) -> Reply:
        sent, (begin, end) = self._clock(), self._stall
        if begin <= sent < end:
            self._clock.now = end
        self._clock.now += 1e-4
        return Reply(Answer("OK"), sent)

    async def close(self) -> None: ...


def run_against_a_stall(pattern: Pattern) -> Tally:
    """Send for 10 s by a clock of our own to a server that holds up everything, sender included, for 2 of them."""
    clock, whole = Clock(), Tally()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)  # who was let go is sent first
        clock.now += seconds

    async def send() -> None:
        mix = Mix((Ask(("psnr",)),), (Picture("p", b"\xff\xd8"),))
        job = Job(Leg("stall", pattern, 0.0, 10.0), 0, 1, clock.now, 0)
        caller = StallingCaller(clock, (104.0, 106.0))
        sender = Sender(job, mix, 1, caller, asyncio.Event(), clock=clock, sleep=sleep)
        await sender.run(lambda report: whole.add(report.tally))

    asyncio.run(send())
    return whole


def test_a_stall_is_in_the_latency_of_all_who_would_have_come_in_it() -> None:
    tally = run_against_a_stall(constant(100, 10, is_even=True))
    assert tally.sent == tally.answered == 1000
    # 200 of 1000 were due in the two seconds; measured from the real sending, one alone was slow.
    assert tally.latency.count - tally.latency.within(0.01) == pytest.approx(200, abs=3)
    assert tally.service.count - tally.service.within(0.01) <= 1
    assert tally.latency.percentile_s(90) == pytest.approx(1.0, abs=0.05)


def test_a_closed_loop_leaves_the_stall_out_which_is_why_it_is_no_default() -> None:
    tally = run_against_a_stall(InFlight(1))
    assert tally.latency.count - tally.latency.within(0.01) == 1
