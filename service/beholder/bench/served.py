"""What the service did in one leg: rate, latency, and the processor time of the server and of who called it."""

from dataclasses import dataclass
from typing import Any

from beholder.bench.process import Server, Spent
from beholder.errors import BeholderError
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Fleet, Seen
from beholder.load.histogram import Histogram
from beholder.load.result import leg_json
from beholder.load.server import scrape, told_between
from beholder.load.summary import failures
from beholder.load.worker import Leg


class NotAnswered(BeholderError):
    """Requests failed; figures of the others would be of something else."""


@dataclass(frozen=True)
class Served:
    """One leg of a closed loop.

    Attributes:
        leg: as `beholder load` tells it.
        latency: of the answers that count.
        requests: answered over the whole leg, its warm-up included, in `seconds`; what was spent is over all of it.
        server: what the server spent.
        client_s: processor time of the callers.
    """

    leg: dict[str, Any]
    latency: Histogram
    requests: int
    seconds: float
    server: Spent
    client_s: float

    @property
    def rate(self) -> float:
        """Answers per second, after the warm-up."""
        return float(self.leg["throughput"])

    @property
    def server_ms(self) -> float:
        """CPU milliseconds of the server for one request."""
        return self.server.whole_s / self.requests * 1e3

    @property
    def client_ms(self) -> float:
        """CPU milliseconds of the callers for one request."""
        return self.client_s / self.requests * 1e3

    @property
    def client_cores(self) -> float:
        """How many cores the callers kept busy."""
        return self.client_s / self.seconds


@dataclass(frozen=True)
class Way:
    """How requests come.

    Attributes:
        in_flight: how many at a time.
        is_stream: as messages of long streams rather than calls.
    """

    in_flight: int
    is_stream: bool

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.in_flight} in flight{', stream' * self.is_stream}"


def measure(fleet: Fleet, server: Server, way: Way, warmup_s: float, seconds: float) -> Served:
    """Drive a server for some seconds.

    Args:
        fleet: connected to it, of this way's kind.

    Raises:
        NotAnswered: requests failed.
        KeyboardInterrupt: by hand.
    """
    series, before = scrape([server.metrics_address]), server.threads()
    seen = fleet.run(Leg(way.name, InFlight(way.in_flight), warmup_s, seconds))
    after = server.threads()
    told = leg_json(seen, told_between(series, scrape([server.metrics_address])))
    if not seen.is_whole:
        raise KeyboardInterrupt
    if seen.tally.unexpected or not seen.tally.in_time:
        raise NotAnswered("; ".join(failures([told])) or f"{way.name}: no answer came in {seconds:g} s; try --for")
    requests = seen.tally.sent + seen.tally.warmed_up
    return Served(told, seen.tally.latency, requests, seen.elapsed_s, after.since(before), _client_s(seen))


def _client_s(seen: Seen) -> float:
    return sum(seen.cpu) * seen.elapsed_s
