"""A server of several processes, from outside: it answers as one process does, and outlives the death of its parts."""

import asyncio
import contextlib
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from beholder.client import Client
from beholder.errors import DeadlinePassed, InvalidSample
from beholder.load.server import Series, scrape
from beholder.v1 import samples_pb2, scores_pb2
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1.scoring_service_pb2_grpc import ScoringServiceStub
from borrower import Borrower, ask, connect, lent, pixels, wait_for
from load.test_soak import check, numbered, soak
from server_process import REPO, ServerProcess, StartServer

ASSETS = REPO / "tests" / "assets"
JPEG = (ASSETS / "landscape-q75.jpg").read_bytes()
PIXELS = pixels(1)
FRONTS = 2
SETTINGS = {"scorers": "image-safety,psnr,ciede2000", "fronts": FRONTS, "cache_mb": 0}
TWO_ENGINES = (
    "-c",
    "import os; from beholder import config, several; several.serve(config.config_from(os.environ), 2)",
)
"""A server with two engine processes on the CPU, as there are on a machine with two GPUs."""
WAIT_S = 60.0
TOLERANCE = 2e-6
"""What the company of other rows in a batch may change."""


@pytest.fixture(scope="module")
def several(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """Return a server of two fronts that keeps tastes and lends memory; tests may kill its parts, which come back."""
    folder = tmp_path_factory.mktemp("several")
    return start_server(**SETTINGS, taste_store=folder / "tastes.db", shm=folder / "shm", shm_mb=2)


@pytest.fixture
def client(several: ServerProcess) -> Iterator[Client]:
    with Client(several.address) as one:
        yield one


def until(holds: Callable[[], bool], server: ServerProcess) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, server.log.read_text()
        time.sleep(0.05)


def parts(server: ServerProcess) -> dict[str, psutil.Process]:
    """Return the processes that the server started, by name."""
    found = dict[str, psutil.Process]()
    for one in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.Error, IndexError):  # one that has just ended
            found[one.cmdline()[3]] = one
    return found


def series(server: ServerProcess) -> Series:
    return scrape([server.metrics_address])


def total(server: ServerProcess, name: str) -> float:
    """Return the sum over all labels."""
    return sum(value for (its, _), value in series(server).items() if its == name)


def is_ready(server: ServerProcess) -> bool:
    """Ask on a new connection, which any front may take."""
    with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="ready"), timeout=5
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_scores_are_those_of_one_process(server: ServerProcess, client: Client) -> None:
    names = ("landscape-q30.jpg", "landscape-q75.jpg", "landscape.png", "poster.png", "still-life.webp")
    with Client(server.address) as alone:
        for name in names:
            pair = {"scorers": ["psnr", "image-safety"], "references": ASSETS / name.replace("-q30.jpg", ".png")}
            one, other = (it.score(ASSETS / name, **pair)[0] for it in (client, alone))  # type: ignore[arg-type]
            assert one.scores.keys() == other.scores.keys() == {"psnr", "image-safety"}
            for scorer, score in one.scores.items():
                assert score.value == pytest.approx(other.scores[scorer].value, abs=TOLERANCE)


def test_a_bad_sample_hurts_only_itself(client: Client) -> None:
    good, bad, also_good = client.score([JPEG, JPEG[:1000], JPEG], scorers=["image-safety"])
    assert isinstance(bad.errors["image-safety"], InvalidSample)
    assert good.scores["image-safety"] == also_good.scores["image-safety"]


def test_a_map_comes_from_an_engine(client: Client) -> None:
    (result,) = client.score(
        ASSETS / "landscape-q30.jpg", references=ASSETS / "landscape.png", scorers=["ciede2000"], explain=True
    )
    assert result.scores["ciede2000"].map is not None


def test_calls_that_are_late_or_cancelled_leave_nothing_behind(several: ServerProcess) -> None:
    def ask(number: int) -> str:
        with Client(several.address) as client:
            try:
                timeout_s = (0.01, 0.1, WAIT_S)[number % 3]
                (result,) = client.score(numbered(JPEG, number), scorers=["image-safety"], timeout_s=timeout_s)
                return "OK" if result.scores else type(result.errors["image-safety"]).__name__
            except DeadlinePassed:
                return "DeadlinePassed"

    with ThreadPoolExecutor(8) as threads:
        came = Counter((number % 3, outcome) for number, outcome in enumerate(threads.map(ask, range(60))))
    assert came[2, "OK"] == 20
    assert {outcome for _, outcome in came} <= {"OK", "DeadlinePassed"}
    until(lambda: not total(several, "beholder_in_flight_rows") + total(several, "beholder_queue_rows"), several)


def test_the_page_of_metrics_is_that_of_one_server(several: ServerProcess) -> None:
    before = series(several)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: _ask_alone(several, number), range(24)))
    after = series(several)
    calls = ("beholder_requests_total", (("code", "OK"), ("method", "Score")))
    rows = ("beholder_rows_total", (("graph", "image-safety"),))
    decoded = ("beholder_stage_duration_seconds_count", (("graph", ""), ("stage", "decode")))
    for key in (calls, rows, decoded):
        assert after[key] - before.get(key, 0.0) == 24
    assert after["beholder_scorer_ready", (("scorer", "psnr"),)] == 1
    assert [value for (name, _), value in after.items() if name == "beholder_build_info"] == [1]
    assert after["process_cpu_seconds_total", ()] > before["process_cpu_seconds_total", ()]


def _ask_alone(server: ServerProcess, number: int) -> None:
    """Ask on a connection of its own."""
    with Client(server.address) as client:
        assert client.score(numbered(JPEG, number), scorers=["image-safety"])[0].scores


def test_what_a_taste_is_told_at_one_front_the_other_knows(several: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(several.address)) for _ in range(6)]
        clients[0].tastes.create("ann")
        for number, client in enumerate(clients):
            told = client.tastes.add("ann", likes=[numbered(JPEG, number)])
            assert told.ok

        def versions() -> set[int]:
            verdicts = [client.score(JPEG, scorers=["taste/ann"])[0].scores["taste/ann"].taste for client in clients]
            return {verdict.version for verdict in verdicts if verdict}

        until(lambda: versions() == {1 + len(clients)}, several)


@pytest.fixture
def borrowed(several: ServerProcess) -> Iterator[Borrower]:
    """Lend memory that holds `JPEG`."""
    with Client(several.address) as client, Client(several.address, shm=True, shm_mb=1) as other:
        assert other.score(PIXELS, scorers=["image-safety"])[0].scores == (
            client.score(PIXELS, scorers=["image-safety"])[0].scores
        )
        assert other.shares_memory
        path = Path(other._shared._ask(WAIT_S).shared_memory.socket)
    wait_for(lambda: lent(several) == 0)
    borrower = ask(connect(path))
    assert isinstance(borrower, Borrower)
    borrower.memory[: len(JPEG)] = JPEG
    yield borrower
    borrower.close()


def ask_each_front(server: ServerProcess, image: samples_pb2.Image) -> list[scores_pb2.ScorerResult]:
    """Ask over so many connections that no front is left out (but for one time in 16,000)."""
    request = pb.ScoreRequest(scorers=["image-safety"], samples=[samples_pb2.Sample(candidate=image)])
    results = []
    for _ in range(15):
        with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            answer = ScoringServiceStub(channel).Score(request, timeout=WAIT_S, wait_for_ready=True)
            results.append(answer.samples[0].results[0])
    return results


def test_what_is_lent_every_front_reads_until_it_is_given_back(several: ServerProcess, borrowed: Borrower) -> None:
    image = borrowed.image(0, len(JPEG))
    (score,) = {result.score.value for result in ask_each_front(several, image)}
    with Client(several.address) as client:
        assert score == pytest.approx(client.score(JPEG, scorers=["image-safety"])[0]["image-safety"].value)
    assert lent(several) == 1
    borrowed.connection.close()
    wait_for(lambda: lent(several) == 0)
    told = {result.error.message for result in ask_each_front(several, image)}
    assert all("it was taken back when its connection ended" in text for text in told)


def test_a_limit_of_memory_is_that_of_all_fronts(borrowed: Borrower) -> None:
    path = Path(borrowed.connection.getpeername())
    with contextlib.ExitStack() as stack:
        second = ask(stack.enter_context(connect(path)))
        assert isinstance(second, Borrower)
        stack.callback(second.close)
        third = ask(stack.enter_context(connect(path)))
    assert third == "0 MiB of 2 are left (BEHOLDER_SHM_MB)"


def test_a_front_that_comes_back_knows_what_is_lent(several: ServerProcess, borrowed: Borrower) -> None:
    before = parts(several)["front-0"]
    before.kill()
    until(lambda: parts(several).get("front-0", before).pid != before.pid, several)
    maps = Path(f"/proc/{parts(several)['front-0'].pid}/maps")
    until(lambda: "memfd:beholder-images" in maps.read_text(), several)
    until(lambda: is_ready(several), several)
    image = borrowed.image(0, len(JPEG))
    assert len({result.score.value for result in ask_each_front(several, image)}) == 1


def test_a_front_that_is_killed_comes_back_and_hurts_no_other(several: ServerProcess) -> None:
    before, counted = parts(several), total(several, "beholder_requests_total")
    numbers, stopped = itertools.count(), False

    def keep_asking(_: int) -> int:
        done = 0
        while not stopped:
            _ask_alone(several, next(numbers))  # the client tries again where a connection breaks
            done += 1
        return done

    with ThreadPoolExecutor(6) as threads:
        asking = [threads.submit(keep_asking, number) for number in range(6)]
        try:
            before["front-1"].kill()
            until(lambda: parts(several).get("front-1", before["front-1"]).pid != before["front-1"].pid, several)
        finally:
            stopped = True
        assert all(one.result() for one in asking)
    assert {name: one.pid for name, one in parts(several).items() if name != "front-1"} == {
        name: one.pid for name, one in before.items() if name != "front-1"
    }
    assert total(several, "beholder_requests_total") >= counted
    # Its own board and the memory of the fronts that are there: that of the one that ended is gone.
    maps = Path(f"/proc/{before['engine-0'].pid}/maps")
    until(lambda: maps.read_text().count("memfd:beholder") == 1 + FRONTS, several)
    until(lambda: not total(several, "beholder_in_flight_rows") + total(several, "beholder_queue_rows"), several)


def test_an_engine_that_is_killed_comes_back(several: ServerProcess) -> None:
    parts(several)["engine-0"].kill()
    until(lambda: not is_ready(several), several)
    until(lambda: is_ready(several), several)
    _ask_alone(several, 0)
    assert "engine 0 ended with exit code -9; it is started again" in several.log.read_text()


def test_a_server_left_over_is_found(several: ServerProcess, start_server: StartServer) -> None:
    with pytest.raises(RuntimeError, match=r"exit code 2:\n.*the port is in use"):
        start_server(**SETTINGS | {"address": several.address})


def test_requests_come_to_a_right_end_though_the_server_is_stopped(several: ServerProcess) -> None:
    processes = parts(several).values()
    check(asyncio.run(soak(several, 300)), 300, several.stop())
    assert not any(one.is_running() for one in processes)


def test_a_setting_that_is_wrong_is_told_in_one_line(start_server: StartServer, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exit code 2:\n(.*\n)*beholder: taste_encoder: no encoder 'nonesuch'"):
        start_server(**SETTINGS | {"taste_store": tmp_path / "tastes.db", "taste_encoder": "nonesuch"})


def test_two_engines_and_one_of_them_alone_and_nothing_outlives_the_parent(start_server: StartServer) -> None:
    both = start_server(TWO_ENGINES, scorers="image-safety", cache_mb=0)
    processes = parts(both)
    assert processes.keys() == {"engine-0", "engine-1", "front-0"}
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: _ask_alone(both, number), range(40)))
        spent = [processes[name].cpu_times().user for name in ("engine-0", "engine-1")]
        processes["engine-1"].kill()
        list(threads.map(lambda number: _ask_alone(both, number), range(40)))
    assert min(spent) > max(spent) / 4
    assert is_ready(both)
    left = [psutil.Process(both.process.pid), *parts(both).values()]
    both.process.send_signal(signal.SIGKILL)
    both.process.wait()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in left), both)
