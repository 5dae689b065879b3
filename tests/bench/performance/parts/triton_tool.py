"""NVIDIA's perf_analyzer on the Open Inference Protocol, beside our own callers on both protocols."""

import asyncio
import base64
import csv
import json
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from beholder.bench.process import Server
from beholder.load.arrivals import InFlight
from beholder.load.fleet import Fleet
from beholder.load.server import scrape, told_between
from bench.peers.callers import GrpcCaller
from bench.peers.load import RAMP_S, Question, closed_loop
from bench.peers.processes import Usage
from bench.peers.servers.beholder import BeholderOip
from bench.performance.asked import Asked, Json, Part
from bench.performance.turns import drive, settings
from bench.performance.words import cell, over
from bench.scorer_report import table

CONCURRENCY = (1, 2, 4, 8, 16, 32)
MOST_ROUNDS = 3
WINDOWS = 3
"""Of perf_analyzer: it takes three that agree, and here any do."""
OPTIONS = f"-i grpc -s 500 -r {WINDOWS}"
TIMEOUT_S = 300.0
TOOL, OIP, OWN = "perf_analyzer", "our callers, OIP", "beholder load"
METHOD = "/inference.GRPCInferenceService/ModelInfer"


class PerfAnalyzer(Part):
    """Three tools in turn at each number of requests in flight, and what the server says of errors."""

    name = "perf-analyzer"
    title = "NVIDIA's `perf_analyzer` beside `beholder load`"

    def measure(self, asked: Asked) -> Json:
        """Ask one server."""
        scorer, found = asked.scorers[0], {count: {TOOL: [], OIP: [], OWN: []} for count in CONCURRENCY}
        with (
            tempfile.TemporaryDirectory(prefix="beholder-") as folder,
            Server(asked.environ, dict(settings(scorer))) as server,
            Fleet(server.address, asked.mix(scorer)) as fleet,
        ):
            tool, before = _Tool(asked, scorer, server.address, Path(folder)), scrape([server.metrics_address])
            for _ in range(min(MOST_ROUNDS, asked.rounds)):
                for count, its in found.items():
                    its[TOOL].append(tool.run(count))
                    its[OIP].append(asyncio.run(_by_oip(asked, scorer, server, count)))
                    its[OWN].append(drive(fleet, server, InFlight(count), asked))
            requests = told_between(before, scrape([server.metrics_address])).requests
        return {"scorer": scorer, "command": tool.said, "requests": requests, "counts": list(found.items())}

    def short(self, found: Json) -> Iterator[tuple[str, str, str]]:
        """Tell the errors."""
        failed = sum(its for name, its in found["requests"].items() if name.split()[-1] != "OK")
        said = f"{failed:.0f} of {sum(found['requests'].values()):.0f} requests"
        yield f"errors under `perf_analyzer`, concurrency {CONCURRENCY[0]} to {CONCURRENCY[-1]}", said, "none"

    def told(self, found: Json) -> Iterator[str]:
        """Tell rates and latencies side by side, and all errors."""
        yield (
            f"`{found['scorer']}`, no cache; `{found['command']}` through the Open Inference Protocol, a small closed "
            "loop of ours through the same, and `beholder load --in-flight N`, in turn. perf_analyzer repeats its few "
            "images; it is C++, the others Python, and all run on the server's cores."
        )
        tools = (TOOL, OIP, OWN)
        head = ["in flight", *(f"{tool}: per s" for tool in tools), *(f"{tool}: p50, p99 ms" for tool in tools)]
        rows = []
        for count, its in found["counts"]:
            rates = [cell(over(its[tool], "per_s"), 1) for tool in tools]
            rows.append([str(count), *rates, *(_times(its[tool]) for tool in tools)])
        yield from table(head, rows)
        failed = {name: its for name, its in found["requests"].items() if name.split()[-1] != "OK"}
        said = ", ".join(f"{name} {its:.0f}" for name, its in (failed or found["requests"]).items())
        yield f"Errors, as the server counted: {said}." if failed else f"No error, as the server counted: {said}."


def _times(rounds: Sequence[Json]) -> str:
    return ", ".join(f"{over(rounds, key).median:.1f}" for key in ("p50_ms", "p99_ms"))


class _Tool:
    """perf_analyzer, with the images that it sends.

    Attributes:
        said: its command, for the page.
    """

    def __init__(self, asked: Asked, scorer: str, address: str, folder: Path) -> None:
        self._asked, self._folder = asked, folder
        ask = asked.mix(scorer).asks[0]
        roles = ("candidate", "reference") if ask.needs_reference else ("candidate",)
        data = [{role: _element(one.data) for role in roles} for one in asked.pictures()]
        (folder / "images.json").write_text(json.dumps({"data": data}))
        window_ms = max(500, round(asked.seconds * 1e3 / WINDOWS))
        options = f"{OPTIONS} -p {window_ms} -m {scorer} --input-data images.json --concurrency-range"
        self.said = f"perf_analyzer {options} N"
        self._command = [str(asked.perf_analyzer), "-u", address, *options.split()]

    def run(self, count: int) -> Json:
        """Measure with so many requests in flight.

        Raises:
            RuntimeError: it failed; the message has its last words.
        """
        command = [*self._command, str(count), "-f", "found.csv"]
        done = subprocess.run(
            command, cwd=self._folder, env=self._asked.environ, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        path = self._folder / "found.csv"
        if done.returncode or not path.exists():
            said = (done.stdout + done.stderr).strip().splitlines()[-5:]
            raise RuntimeError(f"perf_analyzer ended with {done.returncode}: {' '.join(said)}")
        (row,) = csv.DictReader(path.read_text().splitlines())
        path.unlink()
        times = {f"{name}_ms": float(row[f"{name} latency"]) / 1e3 for name in ("p50", "p99")}
        return {"per_s": float(row["Inferences/Second"]), **times}


class _Used:
    """A server's processor time, as the peers' bench asks for it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def usage(self) -> Usage:
        return Usage(sum(self._server.threads().cpu_s.values()), 0.0, 0.0, 1)


async def _by_oip(asked: Asked, scorer: str, server: Server, count: int) -> Json:
    peer = BeholderOip()
    questions = [Question(peer.request(one.data, scorer), 0.0) for one in asked.pictures()]
    async with GrpcCaller(int(server.address.rpartition(":")[2]), METHOD) as call:
        found = await closed_loop(call, peer, questions, _Used(server), asked.seconds + RAMP_S, count)  # type: ignore[arg-type]
    return {name: found[name] for name in ("per_s", "p50_ms", "p99_ms", "cpu_ms", "client_cpu_ms")}


def _element(image: bytes) -> Json:
    """Return an image as perf_analyzer reads BYTES: behind its length."""
    content = base64.b64encode(struct.pack("<I", len(image)) + image).decode()
    return {"b64": content, "shape": [1]}
