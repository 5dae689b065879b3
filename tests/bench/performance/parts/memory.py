"""Whether memory stays what it is over very many requests."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import psutil

from beholder.bench.process import Server
from beholder.cli.load_mix import find_pictures
from beholder.clock import monotonic
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Fleet
from beholder.load.mix import Mix
from bench.performance.asked import Asked, Json, Part, ask_of
from bench.performance.turns import drive
from bench.scorer_report import table

ASKED = {("sharpness",): 60.0, ("psnr", "ssim"): 35.0, ("content-labels",): 4.0, ("image-safety",): 1.0}
"""Scorers asked together -> how often: mostly cheap ones, so that there is time for very many."""
IMAGES = ("64x64=40", "48x96.png=20", "96x64.webp=20", "128x160=15", "200x300=7", "512x512=8")
"""The largest come so often that the most that is ever needed at one time is needed early."""
BAD, CANCELLED, REPEATED = 0.03, 0.03, 0.2
CACHE_MB = 4
"""So little that it is full from early on, and forgets for every answer that it keeps."""
IN_FLIGHT, LEG_S = 32, 2.0
SHARES = (0.01, 0.02, 0.05, *(tenth / 10 for tenth in range(1, 11)))
SLOPE_FROM = 0.2
MIB = 2**20


class Memory(Part):
    """Calls and streams in turn, resident memory after each stretch."""

    name = "memory"
    title = "Memory over very many requests"
    is_usual = False

    def measure(self, asked: Asked) -> Json:
        """Ask until there were enough."""
        asks = tuple(ask_of(*scorers, weight=weight) for scorers, weight in ASKED.items())
        pictures = tuple(find_pictures(IMAGES)[0])
        mix = Mix(asks, pictures, bad=BAD, cancelled=CANCELLED, repeated=REPEATED, patience_s=0.05)
        names = ",".join(dict.fromkeys(name for scorers in ASKED for name in scorers))
        seen: list[tuple[int, float]] = []
        outcomes: dict[str, int] = {}
        started, count, short = monotonic(), 0, replace(asked, warmup_s=0.0, seconds=min(LEG_S, asked.seconds))
        with ExitStack() as stack:
            server = stack.enter_context(Server(asked.environ, {"scorers": names, "cache_mb": str(CACHE_MB)}))
            process = psutil.Process(server.pid)
            fleets = [stack.enter_context(Fleet(server.address, mix, is_stream=kind)) for kind in (False, True)]
            while count < asked.requests:
                fleet = fleets[len(seen) % 2]
                one = drive(fleet, server, InFlight(IN_FLIGHT), short)
                count += one["sent"]
                for kind, code, times in one["outcomes"]:
                    outcomes[f"{kind}: {code}"] = outcomes.get(f"{kind}: {code}", 0) + times
                seen.append((count, _rss(process) / MIB))
        found = {"requests": count, "seconds": monotonic() - started, "outcomes": outcomes, "seen": seen}
        return found | {"scorers": {",".join(scorers): weight for scorers, weight in ASKED.items()}}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the slope."""
        slope, error = slope_of(_later(found))
        said = f"{slope:+.1f} ± {error:.1f} MiB for 100,000"
        yield f"memory over {found['requests']:,} requests", said, "flat"

    def told(self, found: Json) -> Iterator[str]:
        """Tell resident memory along the way, and its slope."""
        seen, requests = found["seen"], found["requests"]
        scorers = ", ".join(f"`{names}` ({weight:g})" for names, weight in found["scorers"].items())
        yield (
            f"{requests:,} requests in {found['seconds']:.0f} s, {IN_FLIGHT} in flight, calls and streams in turn: "
            f"{scorers}; images {', '.join(IMAGES)} (size and weight); {BAD:.0%} bad, {CANCELLED:.0%} cancelled, "
            f"{REPEATED:.0%} repeated before a cache of {CACHE_MB} MiB, which is soon full."
        )
        shares = [share for share in SHARES if any(count >= share * requests for count, _ in seen)]
        yield from table(
            ("requests", *(f"{share:.0%}" for share in shares)),
            [("resident MiB", *(f"{_at(seen, share * requests):.0f}" for share in shares))],
        )
        slope, error = slope_of(_later(found))
        yield f"Slope from {SLOPE_FROM:.0%} on: {slope:+.2f} ± {error:.2f} MiB for 100,000 requests (standard error)."
        yield from table(("came to", "requests"), [(what, f"{its:,}") for what, its in found["outcomes"].items()])


def _rss(process: psutil.Process) -> int:
    """Return the resident bytes of a server's processes."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def _later(found: Json) -> list[tuple[int, float]]:
    return [(count, rss) for count, rss in found["seen"] if count >= SLOPE_FROM * found["requests"]]


def _at(seen: Sequence[tuple[int, float]], count: float) -> float:
    return next(rss for its, rss in seen if its >= count)


def slope_of(points: Sequence[tuple[int, float]], blocks: int = 10) -> tuple[float, float]:
    """Fit a line through the means of stretches, which know less of each other than neighbouring points do."""
    parts = [part.mean(0) for part in np.array_split(np.asarray(points, np.float64), blocks) if len(part)]
    if len(parts) < 3:
        return float("nan"), float("nan")
    counts, rss = np.transpose(parts)
    away = counts - counts.mean()
    slope = away @ rss / (away @ away)
    left = rss - rss.mean() - slope * away
    error = np.sqrt(left @ left / (len(parts) - 2) / (away @ away))
    return float(slope * 1e5), float(error * 1e5)
