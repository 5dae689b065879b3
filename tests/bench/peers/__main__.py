"""Measures Beholder beside other servers that do the same job, in rounds that take turns; writes docs/peers.md.

    PYTHONPATH=tests python -m bench.peers --folder DIR    install what DIR lacks, measure all, write the page
    … --peers triton beholder --rounds 1 --seconds 2       try two of them; the page stays as it is
    … --scorer image-safety                                one job of the two
    … --render                                             measure nothing

One server runs at a time: started, asked until it answers, warmed up, loaded, left idle, given calls that are
cancelled, stopped. A server that can't be installed or started is told on the page with the reason.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

import beholder
from bench import machine
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
    parser.add_argument("--peers", nargs="+", choices=sorted(PEERS), help="default: all")
    parser.add_argument("--scorer", nargs="+", choices=list(material.SCORERS), help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="of load in each round; the ladder takes half of it, four times"
    )
    parser.add_argument("--render", action="store_true", help="only write docs/peers.md from docs/peers.json")
    arguments = parser.parse_args()
    if not arguments.folder and not arguments.render:
        parser.error("--folder is needed: a folder of yours for some 3 GB of environments")
    return arguments


class Bench:
    """One run of the bench.

    Args:
        scorer: whose job it is.
        seconds: of the load of one round.

    Attributes:
        found: peer's key -> what the page is made of.
        plain: the job alone, in each round.
    """

    def __init__(self, folder: Path, scorer: str, seconds: float) -> None:
        self.folder, self.scorer, self._seconds = folder, scorer, seconds
        self._graph = self.folder / f"{scorer}.onnx"
        material.write_graph(scorer, self._graph)
        self._cores = len(os.sched_getaffinity(0))
        self._images = material.images(IMAGES)
        job = Job(str(self._graph), scorer)
        self._expected = [job.score([image])[0] for image in self._images]
        self.found: dict[str, dict[str, Any]] = {}
        self.plain: list[dict[str, Any]] = []

    def kept(self) -> dict[str, Any]:
        """Return what was found, and of what."""
        sizes = [len(image) / 1e3 for image in self._images]
        _, job = material.SCORERS[self.scorer]
        kb = [round(min(sizes)), round(max(sizes))]
        return {"job": job, "kb": kb, "plain": self.plain, "peers": self.found}

    def install(self, key: str) -> None:
        """Make a peer's environment, or note why there is none."""
        peer = PEERS[key]
        entry = self.found[key] = {"name": peer.name, "wire": peer.wire, "settings": peer.settings, "rounds": []}
        print(f"{self.scorer}: installing {peer.name}", flush=True)
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
            print(f"{self.scorer}: {entry['name']:18} {summary(one)}", flush=True)

    def without_server(self) -> None:
        """Measure the job alone."""
        graph, seconds = str(self._graph), self._seconds
        self.plain.append(load.without_server(graph, self.scorer, self._images, self._cores, seconds))
        print(f"{self.scorer}: {'no server':18} {summary(self.plain[-1])}", flush=True)

    async def _measure(self, key: str, entry: dict[str, Any]) -> dict[str, Any]:
        peer, place = PEERS[key], self._place(key)
        peer.configure(place)
        command = peer.command(place)
        entry["command"] = _told(command, place)
        images = zip(self._images, self._expected, strict=True)
        questions = [load.Question(peer.request(image, self.scorer), expected) for image, expected in images]
        started = time.monotonic()
        with running(command, peer.environment(place), place.folder, self._log(key)) as server:
            async with peer.caller(place) as call:
                await load.first_answer(call, peer, questions[0], server, START_S)
                start_s = time.monotonic() - started
                await load.closed_loop(call, peer, questions, server, WARM_S)
                found = await load.closed_loop(call, peer, questions, server, self._seconds)
                found |= {"start_s": start_s}
                found["ladder"] = await load.ladder(call, peer, questions, server, self._seconds)
                await asyncio.sleep(1.0)
                found["idle"] = await load.idle(server, IDLE_S)
                found["neighbours"] = await load.neighbours(call, peer, questions, found["per_s"])
            found["stop_s"], found["is_killed"] = server.stop()
        return found

    def _place(self, key: str) -> Place:
        folder = self.folder / "run" / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Place(self._venv(key), folder, self._graph, self.scorer, free_ports(PORTS), self._cores)

    def _venv(self, key: str) -> Path:
        return self.folder / "venvs" / key

    def _log(self, key: str) -> Path:
        return self.folder / f"{key}.log"


def main() -> None:
    """Measure what was asked and write the page."""
    arguments = parse()
    if arguments.render:
        write_page()
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C: servers are ended on the way out
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    about = machine.about() | {"seconds": arguments.seconds, "rounds": arguments.rounds, "in_flight": load.IN_FLIGHT}
    benches = [Bench(folder, scorer, arguments.seconds) for scorer in arguments.scorer or material.SCORERS]
    measure(benches, arguments.peers or list(PEERS), arguments.rounds)
    kept = {"about": about, "scorers": {bench.scorer: bench.kept() for bench in benches}}
    write_kept(kept, folder / KEPT.name)
    print(page(kept))
    if not arguments.peers and not arguments.scorer:
        write_kept(kept, KEPT)
        write_page()


def measure(benches: Sequence[Bench], keys: Sequence[str], rounds: int) -> None:
    """Install and measure, in rounds that begin each with another server."""
    for bench in benches:
        for key in keys:
            bench.install(key)
    for number in range(rounds):
        for bench in benches:
            print(f"round {number + 1} of {rounds}", flush=True)
            bench.without_server()
            for key in _turned(keys, number):
                bench.round(key)


def _turned(keys: Sequence[str], number: int) -> list[str]:
    start = number % len(keys)
    return [*keys[start:], *keys[:start]]


def _told(command: Sequence[str], place: Place) -> str:
    text = " ".join(command)
    for path, name in ((place.venv, "VENV"), (place.folder, "FOLDER"), (sys.executable, "python")):
        text = text.replace(str(path), name)
    return text


if __name__ == "__main__":
    main()
