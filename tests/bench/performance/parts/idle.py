"""What a server uses while nobody asks."""

import time
from collections.abc import Iterator
from dataclasses import replace

from beholder.bench.process import Server
from beholder.bench.ratio import spread
from beholder.clock import monotonic
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Fleet
from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import answered, drive
from bench.performance.words import cell
from bench.scorer_report import table

SETTLE_S = 2.0


class Idle(Part):
    """The server as `beholder serve` starts it, after some work, with its callers still connected."""

    name = "idle"
    title = "Idle CPU"

    def measure(self, asked: Asked) -> Json:
        """Watch it in as many stretches as there are rounds."""
        stretches = []
        with Server(asked.environ, {}) as server, Fleet(server.address, asked.mix(asked.scorers[0])) as fleet:
            short = replace(asked, seconds=min(2.0, asked.seconds))
            answered(drive(fleet, server, InFlight(8), short), "before it is idle")
            time.sleep(min(SETTLE_S, asked.idle_s))
            for _ in range(asked.rounds):
                before, started = server.threads(), monotonic()
                time.sleep(asked.idle_s / asked.rounds)
                spent, elapsed_s = server.threads().since(before), monotonic() - started
                stretches.append({"seconds": elapsed_s, "cores": spent.whole_s / elapsed_s})
            threads = len(before.names)
        return {"stretches": stretches, "threads": threads}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the share of one core."""
        yield "idle CPU", f"{_share(found):.2%} of one core", "under 0.5 %"

    def told(self, found: Json) -> Iterator[str]:
        """Tell the share of one core."""
        stretches = found["stretches"]
        whole_s = sum(one["seconds"] for one in stretches)
        each = cell(spread([one["cores"] * 100 for one in stretches]), 3)
        yield "All exported scorers, after a few seconds of work, a caller connected. Processor time over the wall's."
        yield from table(
            ("watched for", "% of one core", "in stretches", "threads"),
            [(f"{whole_s:.0f} s", f"{_share(found):.3%}".rstrip("%"), each, str(found["threads"]))],
        )


def _share(found: Json) -> float:
    """Return the part of one core over all stretches."""
    stretches = found["stretches"]
    whole_s: float = sum(one["seconds"] for one in stretches)
    return sum(one["cores"] * one["seconds"] for one in stretches) / whole_s
