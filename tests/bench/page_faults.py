"""Measures what malloc's thresholds are worth in the whole service, against glibc's own: CPU, page faults and memory.

PYTHONPATH=tests python -m bench.page_faults
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import psutil

import server_process
from beholder.v1 import scoring_service_pb2 as pb
from bench.closed_loop import closed_loop
from bench.pictures import jpegs

LEFT_ALONE = {"MALLOC_ARENA_TEST": "8"}
"""glibc's own value: it changes nothing, but whoever sets malloc is left alone by the service."""
SETTINGS = {"glibc's own": LEFT_ALONE, "kept": {}}


def measure(scorer: str, side_px: int, in_flight: int, seconds: float, rounds: int) -> None:
    """Print a row for each setting, from rounds that alternate."""
    images = jpegs(server_process.REPO / "tests" / "assets", side_px, 8)
    requests = [
        pb.ScoreRequest(samples=[{"candidate": {"encoded": image}}], scorers=[scorer]).SerializeToString()
        for image in images
    ]
    servers = {name: _start(scorer, setting) for name, setting in SETTINGS.items()}
    rows: dict[str, list[Sequence[float]]] = {name: [] for name in servers}
    try:
        for number in range(rounds + 1):
            for name, server in servers.items():
                faults = _faults(server.process.pid)
                run = closed_loop(server, requests, in_flight, seconds)
                faults = _faults(server.process.pid) - faults
                if number:  # the first round warms up
                    rows[name].append((run.cpu_ms, run.rate, faults / (run.rate * seconds)))
        for name, server in servers.items():
            cpu_ms, rate, faults_each = (statistics.median(column) for column in zip(*rows[name], strict=True))
            mib = psutil.Process(server.process.pid).memory_info().rss / 2**20
            label = f"{scorer} {side_px}x{side_px}, {name}"
            print(f"{label:40} {cpu_ms:8.2f} ms {rate:8.1f}/s {faults_each:8.0f} faults {mib:6.0f} MiB", flush=True)
    finally:
        for server in servers.values():
            server.stop()
            server.log.unlink()


def _start(scorer: str, setting: dict[str, str]) -> server_process.ServerProcess:
    os.environ.update(setting)
    try:
        return server_process.start(scorers=[scorer], cache_mb=0)
    finally:
        for name in setting:
            del os.environ[name]


def _faults(pid: int) -> int:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[7])


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scorer", default="content-labels")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    for side_px in options.sides:
        measure(options.scorer, side_px, options.in_flight, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
