"""How long until another replica judges by what one was told: less than a second, on either store, busy or not."""

import itertools
import random
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import postgres_server
from beholder.v1 import samples_pb2, tastes_pb2
from beholder.v1 import taste_service_pb2 as pb
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from beholder.v1.taste_service_pb2_grpc import TasteServiceStub
from load.taste_crowd import PROBES, score_request
from load.taste_people import picture
from server_process import ServerProcess, StartServer

TELLERS, OPINIONS = 4, 50
EVERY_S = 0.02
LATEST_S = 1.0
TIMEOUT_S = 60.0


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """Make a store that two servers can share, and return its address."""
    if kind == "sqlite":
        yield str(folder / "tastes.db")
    else:
        with postgres_server.running() as server:
            yield server.empty_database()


@contextmanager
def busy(*servers: ServerProcess) -> Iterator[None]:
    """Keep servers at work on images that they have not seen."""
    is_over, numbers = threading.Event(), itertools.count(10**6)

    def ask(channel: grpc.Channel) -> None:
        stub = ScoringServiceStub(channel)
        while not is_over.is_set():
            images = [picture(next(numbers), warm=True) for _ in range(4)]
            stub.Score(score_request(images, ["taste-0"], ["content-labels"]), timeout=TIMEOUT_S)

    with ExitStack() as stack, ThreadPoolExecutor(2 * len(servers)) as threads:
        channels = [stack.enter_context(grpc.insecure_channel(server.address)) for server in servers * 2]
        asking = [threads.submit(ask, channel) for channel in channels]
        try:
            yield
        finally:
            is_over.set()
        for one in asking:
            one.result()


def make_tastes(server: ServerProcess) -> None:
    """Make the tastes that are told."""
    with grpc.insecure_channel(server.address) as channel:
        for teller in range(TELLERS):
            request = pb.CreateTasteRequest(name=f"taste-{teller}", request_id="make")
            TasteServiceStub(channel).CreateTaste(request, timeout=TIMEOUT_S)


def delays(here: ServerProcess, there: ServerProcess) -> list[float]:
    """Tell one server, and ask the other again and again; for each opinion, how long requests were judged without it.

    That is, in seconds, from its acknowledgement to when the last request was sent that got a verdict of a version
    before; how long its answer took is not in it.
    """
    with grpc.insecure_channel(here.address) as near, grpc.insecure_channel(there.address) as far:
        tastes, scoring = TasteServiceStub(near), ScoringServiceStub(far)

        def tell(teller: int) -> list[float]:
            name, dice, found = f"taste-{teller}", random.Random(teller), list[float]()
            for number in range(teller * OPINIONS, (teller + 1) * OPINIONS):
                time.sleep(dice.uniform(0, 0.5))
                image = tastes_pb2.OpinionImage(image=samples_pb2.Image(encoded=picture(number, warm=True)))
                like = tastes_pb2.NewOpinion(like=image)
                request = pb.AddOpinionsRequest(name=name, opinions=[like], request_id=f"r-{number}")
                version = tastes.AddOpinions(request, timeout=TIMEOUT_S).taste.version
                found.append(unheard_s(scoring, name, version))
            return found

        with ThreadPoolExecutor(TELLERS) as threads:
            return [delay for each in threads.map(tell, range(TELLERS)) for delay in each]


def unheard_s(stub: ScoringServiceStub, name: str, version: int) -> float:
    """Ask every `EVERY_S` until a verdict is of this version; return when the last was asked that is not."""
    request, started = score_request([PROBES[0][0]], [name]), time.monotonic()
    asked = list[tuple[float, Any]]()
    while not any(answer.done() and is_of(answer, version) for _, answer in asked):
        asked.append((time.monotonic() - started, stub.Score.future(request, timeout=TIMEOUT_S)))
        time.sleep(EVERY_S)
    return max((sent_s + EVERY_S for sent_s, answer in asked if not is_of(answer, version)), default=0.0)


def is_of(answer: Any, version: int) -> bool:
    """Tell whether a verdict is of this version, or a later one."""
    return bool(answer.result().samples[0].results[0].score.taste.version >= version)


@pytest.mark.slow
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_replica_judges_by_a_new_opinion_within_a_second(
    kind: str, is_busy: bool, start_server: StartServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with store(kind, tmp_path) as address:
        here, there = (start_server(scorers=("content-labels",), taste_store=address) for _ in range(2))
        make_tastes(here)
        with ExitStack() as stack:
            if is_busy:
                stack.enter_context(busy(here, there))
            found = sorted(delays(here, there))
        for server in (here, there):
            assert server.stop() == 0
    with capsys.disabled():
        p99_s = found[len(found) * 99 // 100]
        print(f"\n{kind}, {'busy' if is_busy else 'idle'}: {len(found)} opinions heard of after", end=" ")
        print(f"{statistics.median(found):.3f} s (median), {p99_s:.3f} s (p99), {found[-1]:.3f} s at most")
    assert found[-1] < LATEST_S
