"""Measures Beholder beside other servers that do the same job, in rounds that take turns; writes docs/peers.md.

    PYTHONPATH=tests python -m bench.peers --folder DIR    install what DIR lacks, measure all, write the page
    … --peers triton beholder --rounds 1 --seconds 2       try two of them; the page stays as it is
    … --scorer image-safety                                one job of the two
    … --render                                             measure nothing

Each server alone first: started, asked until it answers, loaded, left idle, given calls that are cancelled, stopped.
Then all are started and held (SIGSTOP) while another is asked. A server that can't be installed or started, or fails a
call, is told on the page with the reason; the others go on.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

import beholder
from bench import machine
from bench.peers import load, material
from bench.peers.install import install, told
from bench.peers.job import Job
from bench.peers.peer import Place
from bench.peers.processes import Running, free_ports, running
from bench.peers.report import KEPT, page, summary, write_kept, write_page
from bench.peers.servers.all import PEERS

START_S, WARM_S, AGAIN_S, IDLE_S = 180.0, 2.0, 0.7, 4.0
IMAGES = 24
PORTS = 6


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the peers' environments are and their logs go")
    parser.add_argument("--peers", nargs="+", choices=sorted(PEERS), help="default: all")
    parser.add_argument("--scorer", nargs="+", choices=list(material.SCORERS), help="default: all")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load on each server, twice in each round")
    parser.add_argument("--render", action="store_true", help="only write docs/peers.md from docs/peers.json")
    arguments = parser.parse_args()
    if not arguments.folder and not arguments.render:
        parser.error("--folder is needed: a folder of yours for some 3 GB of environments")
    return arguments


class Bench:
    """One run of the bench.

    Args:
        scorer: whose job it is.
        seconds: of one load.

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
        self._servers: dict[str, tuple[Running, Place]] = {}

    def kept(self) -> dict[str, Any]:
        """Return what was found, and of what."""
        sizes = [len(image) / 1e3 for image in self._images]
        _, job = material.SCORERS[self.scorer]
        kb = [round(min(sizes)), round(max(sizes))]
        return {"job": job, "kb": kb, "plain": self.plain, "peers": self.found}

    def install(self, key: str) -> None:
        """Make a peer's environment, or note why there is none."""
        peer = PEERS[key]
        entry = self.found[key] = {"name": peer.name, "wire": peer.wire, "settings": peer.settings, "loads": {}}
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

    def alone(self, key: str) -> None:
        """Measure one server with no other beside it."""
        self._attempt(key, self._alone)

    @contextlib.contextmanager
    def together(self, keys: Sequence[str]) -> Iterator[None]:
        """Start what can be started, and hold it until its turn."""
        with contextlib.ExitStack() as stack:
            for key in keys:
                self._attempt(key, lambda key: self._start(key, stack))
            yield
            self._servers.clear()

    def round(self, keys: Sequence[str], in_flight: int) -> None:
        """Ask one after the other, with so many calls in flight."""
        if in_flight == load.IN_FLIGHT:
            graph, seconds = str(self._graph), self._seconds
            self.plain.append(load.without_server(graph, self.scorer, self._images, self._cores, seconds))
            self._say("no server", summary(self.plain[-1]))
        for key in keys:
            self._attempt(key, lambda key: self._turn(key, in_flight))

    def _attempt(self, key: str, step: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        """Take one step of one server, or note why it can't be done."""
        entry = self.found[key]
        if "failed" in entry:
            return
        try:
            asyncio.run(step(key))
        except Exception as error:  # whatever one server does, the others go on
            entry["failed"] = f"{type(error).__name__}: {error}" if not isinstance(error, RuntimeError) else str(error)
            self._say(entry["name"], f"{entry['failed']}; see {self._log(key)}")
            if key in self._servers:
                self._servers.pop(key)[0].stop()

    async def _alone(self, key: str) -> None:
        peer, place, questions = PEERS[key], self._place(key), self._questions(key)
        started = time.monotonic()
        with self._running(key, place) as server:
            async with peer.caller(place) as call:
                await load.first_answer(call, peer, questions[0], server, START_S)
                alone: dict[str, Any] = {"start_s": time.monotonic() - started}
                loaded = await load.closed_loop(call, peer, questions, server, WARM_S)
                used = server.usage()
                alone |= {"rss_mb": used.rss_mb, "pss_mb": used.pss_mb, "processes": used.processes}
                await asyncio.sleep(1.0)
                alone["idle"] = await load.idle(server, IDLE_S)
                alone["neighbours"] = await load.neighbours(call, peer, questions, loaded["per_s"])
            alone["stop_s"], alone["is_killed"] = server.stop()
        self.found[key]["alone"] = alone
        self._say(self.found[key]["name"], f"alone: {alone}")

    async def _start(self, key: str, stack: contextlib.ExitStack) -> None:
        peer, place = PEERS[key], self._place(key)
        server = stack.enter_context(self._running(key, place))
        self._servers[key] = server, place
        questions = self._questions(key)
        async with peer.caller(place) as call:
            await load.first_answer(call, peer, questions[0], server, START_S)
            await load.closed_loop(call, peer, questions, server, WARM_S)
        server.pause()

    async def _turn(self, key: str, in_flight: int) -> None:
        peer, (server, place), questions = PEERS[key], self._servers[key], self._questions(key)
        server.go_on()
        async with peer.caller(place) as call:
            await load.first_answer(call, peer, questions[0], server, START_S)
            await load.closed_loop(call, peer, questions, server, AGAIN_S)
            found = await load.closed_loop(call, peer, questions, server, self._seconds, in_flight)
        server.pause()
        self.found[key]["loads"].setdefault(str(in_flight), []).append(found)
        self._say(self.found[key]["name"], f"{in_flight:2} in flight: {summary(found)}")

    def _running(self, key: str, place: Place) -> contextlib.AbstractContextManager[Running]:
        peer = PEERS[key]
        peer.configure(place)
        command = peer.command(place)
        self.found[key]["command"] = _told(command, place)
        return running(command, peer.environment(place), place.folder, self._log(key))

    def _questions(self, key: str) -> list[load.Question]:
        images = zip(self._images, self._expected, strict=True)
        return [load.Question(PEERS[key].request(image, self.scorer), expected) for image, expected in images]

    def _say(self, name: str, text: str) -> None:
        print(f"{self.scorer}: {name:18} {text}", flush=True)

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
    """Install, measure each alone, then all in rounds that begin each with another server; start all anew after four.

    How pages of memory happen to lie makes a process some per cent slower or faster for as long as it lives.
    """
    for bench in benches:
        for key in keys:
            bench.install(key)
    for bench in benches:
        for key in keys:
            bench.alone(key)
        for first in range(0, rounds, len(load.LADDER)):
            with bench.together(keys):
                for number, other in zip(range(first, rounds), load.LADDER, strict=False):
                    print(f"round {number + 1} of {rounds}", flush=True)
                    for in_flight in (load.IN_FLIGHT, other):
                        bench.round(_turned(keys, number), in_flight)


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
