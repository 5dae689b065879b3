"""The runs that show what overload does: who asks what of which machine, how much, and by which policy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from beholder.types import Priority
from load.arrivals import Caller, Moments, bursts, poisson, ramp
from load.devices import GPU, LITE, TWO_CORES, TWO_GRAPHS, Machine
from load.outcome import Outcome, outcome
from load.replica import BEHOLDER, FIFO, FIFO_DROPS, FIXED_DELAY, Policy
from load.simulator import World

Arrive = Callable[[float, float, np.random.Generator], Moments]
POLICIES = (BEHOLDER, FIFO, FIFO_DROPS, FIXED_DELAY)
LOADS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0)
LITE_CORES = replace(TWO_CORES, name="2 cores, efficientnet-lite0", graphs=(LITE,))
STALLING = replace(TWO_CORES, name="2 cores that stall", stall=0.001, stall_s=2.0)
"""One batch in 1000 takes 2 s longer."""
MIXED = (
    Caller("now", 0.3, timeout_s=0.2, gives_up=0.05),
    Caller("soon", 0.2, timeout_s=1.0),
    Caller("some day", 0.1),
    Caller("bulk, 10 s", 0.1, Priority.BATCH, timeout_s=10.0),
    Caller("bulk", 0.3, Priority.BATCH),
)
"""Six in ten interactive, one in three of these with no deadline to speak of or a loose one; one in twenty gives up."""
TIGHT = (Caller("tight", timeout_s=0.1),)
ONE_SECOND = (Caller("soon", timeout_s=1.0),)
INSISTENT = (Caller("insistent", timeout_s=0.3, insists=3),)
PAIR = (Caller("image-safety", 0.5, timeout_s=0.3), Caller("efficientnet-lite0", 0.5, graphs=(1,), timeout_s=0.3))

PANEL = (Caller("both", timeout_s=0.3, graphs=(0, 1)),)


def ramp_up_and_down(rate: float, seconds: float, rng: np.random.Generator) -> Moments:
    """Return moments that go from nothing to twice the rate and back."""
    return ramp((0.0, 2.0 * rate, 0.0), seconds, rng)


def live_under_bulk(load: float) -> tuple[Caller, ...]:
    """Return people who ask for three tenths of the capacity, and bulk work that makes up the rest of the load."""
    live = Caller("live", 0.3, timeout_s=0.3)
    return (live, Caller("bulk", max(load - 0.3, 1e-9), Priority.BATCH, samples=8))


@dataclass(frozen=True)
class Scenario:
    """One run.

    Attributes:
        load: samples offered a second, as a share of what the machines can do.
    """

    name: str
    machine: Machine
    policy: Policy
    callers: tuple[Caller, ...]
    load: float
    seconds: float
    arrive: Arrive = poisson
    replicas: int = 1
    seed: int = 1
    shares: tuple[float, ...] = field(default=(1.0,))

    def run(self) -> Outcome:
        """Let it happen; the same for the same scenario."""
        rows = sum(caller.share for caller in self.callers)
        requests = sum(caller.share / caller.samples for caller in self.callers)
        callers = tuple(replace(caller, share=caller.share / caller.samples) for caller in self.callers)
        capacity = self.machine.capacity(self.shares) * self.replicas
        rng = np.random.default_rng([self.seed, 77])
        moments = self.arrive(self.load * capacity * requests / rows, self.seconds, rng)
        ledger = World(self.machine, self.policy, self.seed, self.replicas).run(callers, moments)
        return outcome(ledger, callers, self.seconds, capacity)


def curves() -> Iterator[Scenario]:
    """Yield goodput over load, by machine and policy."""
    for machine, seconds in ((TWO_CORES, 90.0), (LITE_CORES, 45.0), (GPU, 2.0)):
        for policy in POLICIES:
            for load in LOADS:
                yield Scenario("mixed", machine, policy, MIXED, load, seconds)


def others() -> Iterator[Scenario]:
    """Yield what the curves don't show."""
    for machine, seconds in ((TWO_CORES, 90.0), (GPU, 1.5)):
        for policy in POLICIES:
            for load in (0.5, 1.0, 3.0, 5.0):
                yield Scenario("live under bulk", machine, policy, live_under_bulk(load), load, seconds)
    for load in (0.7, 1.0, 2.0, 3.0, 5.0):
        yield Scenario("two graphs", TWO_GRAPHS, BEHOLDER, PAIR, load, 60.0, shares=(0.5, 0.5))
        yield Scenario("six service times", TWO_CORES, BEHOLDER, TIGHT, load, 60.0)
        yield Scenario("a second", TWO_CORES, BEHOLDER, ONE_SECOND, load, 60.0)
        yield Scenario("stalls", STALLING, BEHOLDER, ONE_SECOND, load, 120.0)
        yield Scenario("bursts", TWO_CORES, BEHOLDER, ONE_SECOND, load, 120.0, bursts)
        for policy in (BEHOLDER, FIFO_DROPS):
            yield Scenario("insistent", TWO_CORES, policy, INSISTENT, load, 60.0)
            yield Scenario("up and down", TWO_CORES, policy, ONE_SECOND, load, 100.0, ramp_up_and_down)


def fleet(replicas: int, parts: int) -> Iterator[Scenario]:
    """Yield many replicas at three times their capacity, in parts that share nothing."""
    for part in range(parts):
        yield Scenario("fleet", TWO_CORES, BEHOLDER, MIXED, 3.0, 4.0, replicas=replicas // parts, seed=part)
