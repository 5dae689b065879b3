"""Measures the service against the same work in a plain loop, in rounds that alternate; prints, judges nothing.

The load client runs on the same cores as the server, so its cost counts against the service.
"""

import argparse
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import server_process
from beholder.v1 import scoring_service_pb2 as pb
from bench import five_heads
from bench.closed_loop import Run, closed_loop, quantiles_ms
from bench.pictures import jpegs
from bench.plain_loop import PlainLoop
from server_process import REPO

IN_FLIGHT = (1, 8, 32)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--scorer", default="image-safety")
    parser.add_argument("--images", type=Path, default=REPO / "tests" / "assets", help="folder of pictures to cut from")
    parser.add_argument("--side", type=int, default=512, help="width and height of each JPEG, in pixels")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("throughput", "five-heads"), help="default: both")
    return parser.parse_args()


def throughput(scorer: str, images: Sequence[bytes], seconds: float, rounds: int) -> None:
    """Print requests per second and latency at each number in flight, beside the plain loop."""
    requests = [
        pb.ScoreRequest(samples=[{"candidate": {"encoded": image}}], scorers=[scorer]).SerializeToString()
        for image in images
    ]
    loop = PlainLoop(scorer, images)
    tuned = loop.tune(seconds / 3)
    print(f"plain loop of {scorer}, images/s by batch size:", {rows: round(rate, 1) for rows, rate in tuned.items()})
    loops: list[tuple[float, float]] = []
    runs: dict[int, list[Run]] = {in_flight: [] for in_flight in IN_FLIGHT}
    server = server_process.start(scorers=[scorer], cache_mb=0)
    try:
        for _ in range(rounds):
            loops.append(loop.run(seconds))
            for in_flight in IN_FLIGHT:
                runs[in_flight].append(closed_loop(server, requests, in_flight, seconds))
    finally:
        server.stop()
        server.log.unlink()
    print(f"{'':24} {'per s':>8} {'of loop':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")
    rate, cpu_ms = (statistics.median(values) for values in zip(*loops, strict=True))
    print(f"{f'plain loop, batch {loop.batch_rows}':24} {rate:8.1f} {1:8.2f} {'':8} {'':8} {cpu_ms:8.1f}")
    for in_flight, its in runs.items():
        ratios = [run.rate / loop_rate for run, (loop_rate, _) in zip(its, loops, strict=True)]
        p50, p99 = quantiles_ms(its)
        rate, cpu_ms = statistics.median(run.rate for run in its), statistics.median(run.cpu_ms for run in its)
        ratio = statistics.median(ratios)
        print(f"{f'service, {in_flight} in flight':24} {rate:8.1f} {ratio:8.2f} {p50:8.1f} {p99:8.1f} {cpu_ms:8.1f}")


def main() -> None:
    """Measure what the command line asks for."""
    options = parse()
    images = jpegs(options.images, options.side, 24)
    size_kb = statistics.mean(map(len, images)) / 1e3
    print(f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{options.side}x{options.side} JPEGs of {size_kb:.0f} kB, {options.rounds} rounds of {options.seconds:g} s")
    if options.only != "five-heads":
        throughput(options.scorer, images, options.seconds, options.rounds)
    if options.only != "throughput":
        five_heads.measure(images, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
