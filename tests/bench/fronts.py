"""What fronts cost: processor time for an image, of servers with none, one and two, in alternating rounds.

    PYTHONPATH=tests python -m bench.fronts

Closed loop over several connections, for the kernel gives each connection to one front; every image is new to the
server.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

import server_process
from beholder.v1 import samples_pb2
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from bench.pictures import jpegs
from server_process import REPO, ServerProcess

CHANNELS, WARM_UP = 8, 100
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Round:
    """What one round showed of a server.

    Attributes:
        cpu_ms: of all its processes, for one image.
        rate: images per second.
    """

    cpu_ms: float
    rate: float


def numbered(files: Sequence[bytes]) -> Iterator[bytes]:
    """Give the same pictures in files that no cache knows: a comment with a number after the start of the image."""
    for number, jpeg in enumerate(itertools.cycle(files)):
        yield jpeg[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big") + jpeg[2:]


def run(server: ServerProcess, images: Iterator[bytes], scorer: str, in_flight: int, count: int) -> Round:
    """Ask about so many images, and weigh what the server spent."""
    cpu_s, started = spent_s(server), time.perf_counter()
    asyncio.run(_ask(server.address, itertools.islice(images, count), scorer, in_flight))
    rate = count / (time.perf_counter() - started)
    return Round((spent_s(server) - cpu_s) / count * 1e3, rate)


async def _ask(address: str, images: Iterator[bytes], scorer: str, in_flight: int) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(CHANNELS)]
    stubs = itertools.cycle([ScoringServiceStub(channel) for channel in channels])

    async def caller() -> None:
        for image in images:
            samples = [samples_pb2.Sample(candidate=samples_pb2.Image(encoded=image))]
            answer = await next(stubs).Score(pb.ScoreRequest(samples=samples, scorers=[scorer]), timeout=TIMEOUT_S)
            if not answer.samples[0].results[0].HasField("score"):
                raise RuntimeError(f"no score: {answer}")

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    for channel in channels:
        await channel.close()


def spent_s(server: ServerProcess) -> float:
    """Return the processor seconds of a server's processes."""
    parent = psutil.Process(server.process.pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fronts", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=REPO / "tests" / "assets", help="where JPEGs lie")
    parser.add_argument("--side-px", type=int, default=512)
    parser.add_argument("--scorer", default="content-labels")
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--images", type=int, default=200, help="in one round")
    options = parser.parse_args()
    images = numbered(jpegs(options.folder, options.side_px, 4))
    servers = {
        fronts: server_process.start(fronts=fronts, scorers=options.scorer, cache_mb=0) for fronts in options.fronts
    }
    rounds: dict[int, list[Round]] = {fronts: [] for fronts in servers}
    try:
        for server in servers.values():
            run(server, images, options.scorer, options.in_flight, WARM_UP)
        for number in range(options.rounds):
            for fronts in random.Random(number).sample(options.fronts, len(options.fronts)):
                one = run(servers[fronts], images, options.scorer, options.in_flight, options.images)
                rounds[fronts].append(one)
    finally:
        for server in servers.values():
            server.stop()
            server.log.unlink()
    first = rounds[options.fronts[0]]
    for fronts, seen in rounds.items():
        cpu_ms, rate = (statistics.median(getattr(one, name) for one in seen) for name in ("cpu_ms", "rate"))
        more = statistics.median(one.cpu_ms / base.cpu_ms - 1 for one, base in zip(seen, first, strict=True))
        print(f"{fronts} fronts: {cpu_ms:.2f} ms for an image ({more:+.1%} round by round), {rate:.0f} a second")


if __name__ == "__main__":
    main()
