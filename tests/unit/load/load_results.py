"""Results of legs that were never run."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from beholder.load.arrivals import InFlight, Pattern, constant
from beholder.load.fleet import Seen
from beholder.load.mix import Kind
from beholder.load.result import Result, leg_json
from beholder.load.server import Told
from beholder.load.tally import Came, Tally
from beholder.load.worker import Leg

TOLD = Told(
    stages=[
        {"stage": "decode", "graph": "", "count": 10.0, "mean_ms": 1.5},
        {"stage": "run", "graph": "psnr", "count": 5.0, "mean_ms": 4.0},
    ],
    batches=[{"graph": "psnr", "count": 5.0, "mean_rows": 2.0, "at_most": {"1.0": 2.0, "2.0": 4.0, "+Inf": 5.0}}],
    refusals={'rows <full> & "more"': 3.0},
    requests={"Score OK": 100.0},
    cpu_s=0.5,
    over_time=[(1.0, 2.0, 3.0), (2.0, 4.0, 5.0)],
)


def leg_of(
    latencies: Sequence[float], name: str = "10/s", seconds: float = 10.0, lost: int = 0, pattern: Pattern | None = None
) -> dict[str, Any]:
    """Return a leg whose good requests came evenly, took so long, and some of which were lost besides."""
    tally = Tally()
    for place, latency_s in enumerate(latencies):
        at = seconds * place / len(latencies)
        came = Came(Kind.GOOD, "psnr", "OK", "", at, at, at, at + latency_s)
        tally.send(at)
        tally.note(came, 0.0, seconds)
        if place < lost:
            gone = dataclasses.replace(came, code="RESOURCE_EXHAUSTED", message='<too> full & "busy" \x00')
            tally.send(at)
            tally.note(gone, 0.0, seconds)
    shape = pattern or constant((len(latencies) + lost) / seconds, seconds)
    seen = Seen(Leg(name, shape, 0.0, seconds), tally, seconds, 0, (0.2,))
    return leg_json(seen, TOLD)


def result_of(*legs: dict[str, Any], **config: Any) -> Result:
    """Return a result of these legs."""
    return Result({"target": "h:1 <b>&", **config}, {"client": {}}, list(legs))


CLOSED = InFlight(4)
