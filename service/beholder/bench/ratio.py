"""Service over limit: ratios of one round each, and in words where the difference goes.

There are three ratios, for callers need processor time too, and here it is that of the same cores:

- `rate`: answers per second over the loop's images per second. What the callers cost counts against the service.
- `aside`: the same over what the loop would do on the cores that the callers left.
- `cpu`: the loop's CPU time for an image over the server's for a request; callers, idle cores and other programs are
  not in it.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from beholder.bench.loop import STAGES, Ran
from beholder.bench.served import Served, Way
from beholder.load.histogram import merged

T = TypeVar("T")
LEAST_LEFT = 0.01
"""Share of the cores that callers always leave: measured times may add up to more than there is."""


@dataclass(frozen=True)
class Spread:
    """The middle of several rounds, and their ends."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Limit:
    """The loop over all rounds, in medians.

    Attributes:
        per_s: images per second.
        cpu_ms: for an image.
        cores: kept busy.
        stages_ms: stage -> CPU time for an image.
    """

    per_s: float
    cpu_ms: float
    cores: float
    stages_ms: dict[str, float]


@dataclass(frozen=True)
class Service:
    """One way of asking over all rounds, in medians; milliseconds are CPU time for a request but for p50 and p99.

    Attributes:
        name: of the way.
        per_s: answers per second.
        p50_ms, p99_ms: latency, over the answers of all rounds.
        server_ms: of the server.
        loop_ms, wire_ms: of that, its event loop's, and that of gRPC's own threads; others decode, prepare and run.
        client_ms: of the callers.
        client_cores, server_cores: kept busy.
    """

    name: str
    in_flight: int
    is_stream: bool
    per_s: float
    p50_ms: float
    p99_ms: float
    server_ms: float
    loop_ms: float
    wire_ms: float
    client_ms: float
    client_cores: float
    server_cores: float

    @property
    def work_ms(self) -> float:
        """What the threads cost that decode, prepare, run and read."""
        return self.server_ms - self.loop_ms - self.wire_ms


@dataclass(frozen=True)
class Ratio:
    """What the module says, over all rounds."""

    rate: Spread
    aside: Spread
    cpu: Spread


def limit_of(ran: Sequence[Ran]) -> Limit:
    """Sum up the rounds of the loop."""
    return Limit(
        per_s=_median(ran, lambda one: one.rate),
        cpu_ms=_median(ran, lambda one: one.cpu_ms),
        cores=_median(ran, lambda one: one.cores),
        stages_ms={stage: statistics.median(one.stage_ms(stage) for one in ran) for stage in STAGES},
    )


def service_of(way: Way, served: Sequence[Served]) -> Service:
    """Sum up the rounds of one way of asking."""
    latency = merged([one.latency for one in served])
    return Service(
        name=way.name,
        in_flight=way.in_flight,
        is_stream=way.is_stream,
        per_s=_median(served, lambda one: one.rate),
        p50_ms=latency.percentile_s(50) * 1e3,
        p99_ms=latency.percentile_s(99) * 1e3,
        server_ms=_median(served, lambda one: one.server_ms),
        loop_ms=_median(served, lambda one: one.server.loop_s / one.requests * 1e3),
        wire_ms=_median(served, lambda one: one.server.wire_s / one.requests * 1e3),
        client_ms=_median(served, lambda one: one.client_ms),
        client_cores=_median(served, lambda one: one.client_cores),
        server_cores=_median(served, lambda one: one.server.whole_s / one.seconds),
    )


def ratio_of(ran: Sequence[Ran], served: Sequence[Served], cores: int) -> Ratio:
    """Compare each round of the service with the loop's of the same round."""
    rounds = list(zip(ran, served, strict=True))
    left = [max(LEAST_LEFT, 1 - service.client_cores / cores) for service in served]
    rates = [service.rate / loop.rate for loop, service in rounds]
    return Ratio(
        rate=spread(rates),
        aside=spread([rate / share for rate, share in zip(rates, left, strict=True)]),
        cpu=spread([loop.cpu_ms / service.server_ms for loop, service in rounds]),
    )


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def explain(service: Service, limit: Limit, ratio: Ratio, cores: int) -> str:
    """Say where the difference goes."""
    idle = max(0.0, cores - service.client_cores - service.server_cores)
    loop_idle = max(0.0, cores - limit.cores)
    more = service.server_ms - limit.cpu_ms
    return (
        f"{service.name}: {ratio.rate.median:.2f} of the limit. Of {cores} cores callers had {service.client_cores:.2f}"
        f", and {idle:.2f} stood idle or were others' ({loop_idle:.2f} beside the loop). A request costs the server "
        f"{service.server_ms:.2f} ms, {abs(more):.2f} {'more' if more >= 0 else 'less'} than an image costs the loop: "
        f"{service.loop_ms:.2f} its event loop, {service.wire_ms:.2f} gRPC's threads, {service.work_ms:.2f} its "
        f"threads that decode, prepare and run, for which the loop needs {limit.cpu_ms:.2f}"
    )


def _median(rounds: Sequence[T], value: Callable[[T], float]) -> float:
    return statistics.median(map(value, rounds))
