"""Measures Beholder beside other servers that do the same job, in rounds that take turns; writes docs/peers.md.

    PYTHONPATH=tests python -m bench.peers --folder DIR    install what DIR lacks, measure all, write the page
    … --only triton beholder --rounds 1 --seconds 2        try two of them; the page stays as it is
    … --render                                             measure nothing

One server runs at a time: started, asked until it answers, warmed up, left idle, loaded, given calls that are
cancelled, stopped. A server that can't be installed or started is told on the page with the reason.
"""

import argparse
import asyncio
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

import beholder
from bench.peers import load, material
from bench.peers.install import install, told
from bench.peers.job import Job
from bench.peers.peer import Place
from bench.peers.processes import free_ports, running
from bench.peers.report import KEPT, page, summary, write_kept, write_page
from bench.peers.servers.all import PEERS

START_S, WARM_S, IDLE_S = 180.0, 2.0, 4.0
IMAGES = 24
PORTS = 6


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the peers' environments are and their logs go")
    parser.add_argument("--only", nargs="+", choices=sorted(PEERS), help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load in each round")
    parser.add_argument("--render", action="store_true", help="only write docs/peers.md from docs/peers.json")
    arguments = parser.parse_args()
    if not arguments.folder and not arguments.render:
        parser.error("--folder is needed: a folder of yours for some 3 GB of environments")
    return arguments


class Bench:
    """One run of the bench.

    Attributes:
        found: peer's key -> what the page is made of.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self._seconds = folder.resolve(), seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        self._graph = self.folder / "model.onnx"
        material.write_graph(self._graph)
        self._cores = len(os.sched_getaffinity(0))
        self._images = material.images(IMAGES)
        job = Job(str(self._graph))
        self._expected = [job.score([image])[0] for image in self._images]
        self.found: dict[str, dict[str, Any]] = {}
        self.plain: list[dict[str, Any]] = []

    def about(self) -> dict[str, Any]:
        """Return what was measured, and on what."""
        sizes = [len(image) / 1e3 for image in self._images]
        return {
            "date": time.strftime("%Y-%m-%d"),
            "cores": self._cores,
            "processor": _processor(),
            "python": platform.python_version(),
            "scorer": material.SCORER,
            "kb": [round(min(sizes)), round(max(sizes))],
            "in_flight": load.IN_FLIGHT,
            "seconds": self._seconds,
            "load_before": round(os.getloadavg()[0], 1),
        }

    def install(self, key: str) -> None:
        """Make a peer's environment, or note why there is none."""
        peer = PEERS[key]
        entry = self.found[key] = {"name": peer.name, "wire": peer.wire, "settings": peer.settings, "rounds": []}
        print(f"installing {peer.name}", flush=True)
        try:
            if peer.packages:
                kept = install(peer, self._venv(key))
                entry |= {part: kept[part] for part in ("packages", "size_mb")}
                entry["versions"] = {name: kept["versions"][name] for name in told(peer) if name in kept["versions"]}
            else:
                entry["versions"] = {"beholder": beholder.__version__, "onnxruntime": onnxruntime.__version__}
        except (RuntimeError, OSError) as error:
            entry["failed"] = f"not installed: {error}"
            print(f"  {entry['failed']}", flush=True)

    def round(self, key: str) -> None:
        """Measure one peer once, or note why it can't be."""
        entry = self.found[key]
        if "failed" in entry:
            return
        try:
            one = asyncio.run(self._measure(key, entry))
        except Exception as error:  # whatever one server does, the others go on
            entry["failed"] = f"{type(error).__name__}: {error}" if not isinstance(error, RuntimeError) else str(error)
            print(f"{entry['name']}: {entry['failed']}; see {self._log(key)}", flush=True)
        else:
            entry["rounds"].append(one)
            print(f"{entry['name']:16} {summary(one)}", flush=True)

    def without_server(self) -> None:
        """Measure the job alone."""
        self.plain.append(load.without_server(str(self._graph), self._images, self._cores, self._seconds))
        print(f"{'no server':16} {summary(self.plain[-1])}", flush=True)

    async def _measure(self, key: str, entry: dict[str, Any]) -> dict[str, Any]:
        peer, place = PEERS[key], self._place(key)
        peer.configure(place)
        command = peer.command(place)
        entry["command"] = _told(command, place)
        images = zip(self._images, self._expected, strict=True)
        questions = [load.Question(peer.request(image), expected) for image, expected in images]
        started = time.monotonic()
        with running(command, peer.environment(place), place.folder, self._log(key)) as server:
            async with peer.caller(place) as call:
                await load.first_answer(call, peer, questions[0], server, START_S)
                start_s = time.monotonic() - started
                await load.closed_loop(call, peer, questions, server, WARM_S)
                found = await load.closed_loop(call, peer, questions, server, self._seconds)
                found["start_s"] = start_s
                await asyncio.sleep(1.0)
                found["idle"] = await load.idle(server, IDLE_S)
                found["neighbours"] = await load.neighbours(call, peer, questions, found["per_s"])
            found["stop_s"], found["is_killed"] = server.stop()
        return found

    def _place(self, key: str) -> Place:
        folder = self.folder / "run" / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Place(self._venv(key), folder, self._graph, free_ports(PORTS), self._cores)

    def _venv(self, key: str) -> Path:
        return self.folder / "venvs" / key

    def _log(self, key: str) -> Path:
        return self.folder / f"{key}.log"


def main() -> None:
    """Measure what was asked and write the page."""
    arguments = parse()
    if not arguments.render:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C: servers are ended on the way out
        bench, keys = Bench(arguments.folder, arguments.seconds), arguments.only or list(PEERS)
        for key in keys:
            bench.install(key)
        about = bench.about()
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", flush=True)
            bench.without_server()
            for key in _turned(keys, number):
                bench.round(key)
        kept = {"about": about | {"rounds": arguments.rounds}, "plain": bench.plain, "peers": bench.found}
        write_kept(kept, bench.folder / KEPT.name)
        print(page(kept))
        if arguments.only:
            return
        write_kept(kept, KEPT)
    write_page()


def _turned(keys: Sequence[str], number: int) -> list[str]:
    start = number % len(keys)
    return [*keys[start:], *keys[:start]]


def _told(command: Sequence[str], place: Place) -> str:
    text = " ".join(command)
    for path, name in ((place.venv, "VENV"), (place.folder, "FOLDER"), (sys.executable, "python")):
        text = text.replace(str(path), name)
    return text


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
