"""Runs of load on real servers, in rounds that take turns, and the processor time of both sides."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beholder.bench.process import Server
from beholder.load.arrivals import InFlight, Pattern, constant
from beholder.load.doubts import all_doubts
from beholder.load.fleet import Fleet, Seen
from beholder.load.mix import Mix
from beholder.load.result import finite, leg_json
from beholder.load.worker import Leg
from bench.performance.asked import Asked, Json

KEPT = ("sent", "answered", "lost", "unexpected", "outcomes")


@dataclass(frozen=True)
class Entrant:
    """One way of asking one server; servers of the same settings are the same.

    Attributes:
        in_flight: requests at a time.
        settings: of the server, `Config` fields as text.
    """

    name: str
    mix: Mix
    in_flight: int
    settings: tuple[tuple[str, str], ...]
    is_stream: bool = False


def in_turn(entrants: Sequence[Entrant], asked: Asked) -> Json:
    """Drive each in every round, each round beginning with another.

    Returns:
        name -> what `drive` returns for each round.
    """
    found: Json = {entrant.name: [] for entrant in entrants}
    with contextlib.ExitStack() as stack:
        servers = {its: stack.enter_context(Server(asked.environ, dict(its))) for its in {e.settings for e in entrants}}
        fleets = [
            stack.enter_context(Fleet(servers[one.settings].address, one.mix, is_stream=one.is_stream))
            for one in entrants
        ]
        for number in range(asked.rounds):
            for place in range(len(entrants)):
                place = (place + number) % len(entrants)
                entrant = entrants[place]
                one = drive(fleets[place], servers[entrant.settings], InFlight(entrant.in_flight), asked)
                found[entrant.name].append(answered(one, entrant.name))
    return found


def poisson(rate: float, asked: Asked) -> Pattern:
    """Return independent callers over the whole of a run."""
    return constant(rate, asked.warmup_s + asked.seconds)


def drive(fleet: Fleet, server: Server, pattern: Pattern, asked: Asked) -> Json:
    """Run once, and return what came of it.

    Returns:
        `per_s`, of answers that came in time; milliseconds of latency, and of processor time for each request sent;
        cores that were busy; counts; `doubts`.

    Raises:
        KeyboardInterrupt: by hand.
    """
    before = server.threads()
    seen = fleet.run(Leg("load", pattern, asked.warmup_s, asked.seconds))
    spent = server.threads().since(before)
    if not seen.is_whole:
        raise KeyboardInterrupt
    leg, requests = leg_json(seen, None), seen.tally.sent + seen.tally.warmed_up
    found = {
        "per_s": seen.tally.answered / asked.seconds if leg["rate"] else leg["throughput"],
        "p50_ms": leg["latency_ms"]["p50"],
        "p99_ms": leg["latency_ms"]["p99"],
        "lag_p99_ms": leg["lag_ms"]["p99"],
        "server_ms": spent.whole_s / max(1, requests) * 1e3,
        "client_ms": _client_s(seen) / max(1, requests) * 1e3,
        "server_cores": spent.whole_s / seen.elapsed_s,
        "client_cores": _client_s(seen) / seen.elapsed_s,
        "doubts": [said.removeprefix("load: ") for said in all_doubts([leg])],
    }
    whole: Json = finite(found | {name: leg[name] for name in KEPT})
    return whole


def answered(one: Json, name: str) -> Json:
    """Return what `drive` returned, where all requests were answered.

    Raises:
        RuntimeError: some were not; figures of the others would be of something else.
    """
    if one["unexpected"] or not one["answered"]:
        raise RuntimeError(f"{name}: {one['unexpected']} of {one['sent']} requests failed: {one['outcomes']}")
    return one


def settings(scorers: str, **more: str) -> tuple[tuple[str, str], ...]:
    """Return a server's settings; no cache unless told otherwise."""
    its: Mapping[str, str] = {"scorers": scorers, "cache_mb": "0"} | more
    return tuple(sorted(its.items()))


def _client_s(seen: Seen) -> float:
    return sum(seen.cpu) * seen.elapsed_s
