"""`beholder load` against real servers: its counts add up, its exit codes hold, a stall is not hidden."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

import server_process
from beholder.cli.main import run
from beholder.load.arrivals import InFlight, constant
from beholder.load.fleet import Fleet, Seen
from beholder.load.mix import GONE, Ask, Mix, Picture
from beholder.load.page import page_of
from beholder.load.result import read_result
from beholder.load.server import scrape
from beholder.load.worker import Leg
from beholder.v1 import scoring_service_pb2 as pb
from server_process import REPO, ServerProcess, StartServer

Captured = pytest.CaptureFixture[str]
IMAGE = REPO / "tests" / "assets" / "landscape-q30.jpg"


@pytest.fixture(scope="module")
def small(start_server: StartServer) -> ServerProcess:
    """Return a server of two small scorers."""
    return start_server(scorers=["psnr", "ssim"])


def load(server: ServerProcess, *more: str) -> int:
    where = ["--address", server.address, "--metrics", server.metrics_address]
    return run(["load", *where, "--warmup", "200ms", "--for", "2s", *more], {})


def mix_of(**terms: float) -> Mix:
    data = IMAGE.read_bytes()
    asks = (Ask(("psnr",), 3.0, needs_reference=True), Ask(("psnr", "ssim"), 1.0, needs_reference=True))
    return Mix(asks, (Picture("landscape", data),), **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_stream", [False, True])
def test_every_request_comes_to_one_end_and_the_right_one(small: ServerProcess, is_stream: bool) -> None:
    mix = mix_of(bad=0.3, hurried=0.1, cancelled=0.2, hurry_s=0.0005, patience_s=0.02)
    with Fleet(small.address, mix, processes=2, is_stream=is_stream, connections=2) as fleet:
        leg = Leg("mixed", constant(60, 3.0), 0.5, 2.5)
        seen = fleet.run(leg)
    tally, outcomes = seen.tally, seen.tally.outcomes
    assert tally.sent + tally.warmed_up == len(list(leg.pattern.times(mix.seed)))  # type: ignore[union-attr]
    assert tally.sent == tally.answered + tally.failed + tally.cancelled
    assert sum(second.sent for second in tally.seconds.values()) == tally.sent + tally.warmed_up
    assert tally.unexpected == 0, outcomes
    kinds = {kind: {code for its, code in outcomes if its == kind} for kind, _ in outcomes}
    assert kinds["good"] == {"OK"}
    assert kinds["bad"] == {"INVALID_ARGUMENT", "NOT_FOUND"}
    assert kinds["hurried"] <= {"OK", "DEADLINE_EXCEEDED"}
    assert kinds["cancelled"] <= {"OK", GONE}
    assert GONE in kinds["cancelled"]
    assert tally.latency.count == tally.service.count == outcomes["good", "OK"]
    assert len(seen.cpu) == 2
    assert seen.is_whole


def test_a_closed_loop_keeps_so_many_in_flight(small: ServerProcess) -> None:
    most = list[int]()
    with Fleet(small.address, mix_of(), processes=2, watch=lambda seen: most.append(seen.in_flight)) as fleet:
        tally = fleet.run(Leg("closed", InFlight(3), 0.2, 1.5)).tally
    assert max(most) == 3
    assert tally.sent == tally.answered > 0


def test_a_process_without_work_says_nothing_of_the_client(small: ServerProcess) -> None:
    with Fleet(small.address, mix_of(), processes=2) as fleet:
        seen = fleet.run(Leg("closed", InFlight(1), 0.0, 1.0))
    assert seen.tally.sent == seen.tally.answered > 0
    assert len(seen.cpu) == 1


def test_a_run_writes_what_it_found(small: ServerProcess, tmp_path: Path, capsys: Captured) -> None:
    path, page = tmp_path / "result.json", tmp_path / "page.html"
    shares = ["--bad", "20%", "--image", str(IMAGE), "--image", "64x48.png=2"]
    files = ["--json", str(path), "--html", str(page)]
    assert load(small, "-s", "psnr", "-s", "ssim,psnr=2", "--rate", "15,25", "--even", *shares, *files) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith("leg")
    assert [line.split()[0] for line in said.out.splitlines()[1:3]] == ["15/s", "25/s"]
    result = read_result(path)
    assert page.read_text() == page_of(result)
    assert [leg["sent"] for leg in result.legs] == [30, 50]
    for leg in result.legs:
        assert leg["unexpected"] == 0
        assert leg["sent"] == leg["answered"] + leg["failed"] + leg["cancelled"]
        assert set(leg["by_ask"]) == {"psnr", "ssim,psnr"}
        assert sum(leg["server"]["requests"].values()) == leg["sent"] + leg["warmed_up"]
        assert {stage["stage"] for stage in leg["server"]["stages"]} >= {"decode", "queue", "run"}
    assert {scorer["scorer"] for scorer in result.versions["server"]["scorers"]} == {"psnr", "ssim"}
    assert run(["load", "compare", str(path), str(path)], {}) == 0
    verdicts = {line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert verdicts <= {"noise", "tell"}


def test_repeated_images_come_from_the_cache_and_new_ones_don_t(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(scorers=["sharpness"])
    hits = list[float]()
    for repeated in ("0%", "100%"):
        path = tmp_path / "result.json"
        assert load(server, "-s", "sharpness", "-i", str(IMAGE), "--rate", "20", "--repeated", repeated,
                    "--json", str(path)) == 0  # fmt: skip
        (leg,) = read_result(path).legs
        hits.append(leg["server"]["cache"].get("hit", 0) / leg["server"]["requests"]["Score OK"])
    assert hits[0] == 0
    assert hits[1] > 0.9


def test_a_recording_is_played_with_what_it_names(small: ServerProcess, tmp_path: Path) -> None:
    trace, path = tmp_path / "trace.csv", tmp_path / "result.json"
    (tmp_path / "own.jpg").write_bytes(IMAGE.read_bytes())
    trace.write_text("at,scorers,image\n5.0,psnr;ssim,own.jpg\n5.1,ssim,32x32\n5.2\n5.2,psnr,own.jpg\n")
    assert load(small, "-s", "psnr", "--trace", str(trace), "--json", str(path)) == 0
    (leg,) = read_result(path).legs
    assert leg["sent"] == leg["answered"] == 4
    assert {ask: its["count"] for ask, its in leg["by_ask"].items()} == {"psnr": 2, "psnr,ssim": 1, "ssim": 1}


def test_an_objective_decides_the_exit_code(small: ServerProcess, capsys: Captured) -> None:
    rate = ["-s", "psnr", "-i", "64x64", "--rate", "10"]
    assert load(small, *rate, "--slo", "p50=10s") == 0
    assert "p50=10000ms: held; 10/s: 100.00% of" in capsys.readouterr().out
    assert load(small, *rate, "--slo", "p50=1us") == 1
    assert "not held" in capsys.readouterr().out


def test_the_rate_that_holds_an_objective_is_searched(small: ServerProcess, tmp_path: Path, capsys: Captured) -> None:
    # Nothing holds a microsecond, at whatever rate: the search goes down, and ends.
    path = tmp_path / "result.json"
    short = ["--for", "300ms", "--warmup", "0s", "-s", "psnr", "-i", "32x32"]
    assert load(small, *short, "--slo", "p50=1us", "--json", str(path)) == 1
    assert "no rate held it" in capsys.readouterr().out
    result = read_result(path)
    assert [held for _, held in result.slo["tried"]] == [False] * 14
    assert len(result.legs) == 15  # and the one that looked how much the server takes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "none of the panel overview is served; name others with --scorers: psnr, ssim"),
        (["-s", "pnsr"], "no scorer 'pnsr'; did you mean psnr"),
        (["-s", "psnr=0"], "--scorers: psnr: want a finite weight above 0"),
        (["-s", "psnr", "-i", "/nowhere/gone.jpg"], "can't read /nowhere/gone.jpg"),
        (["-s", "psnr", "-i", "64x64.bmp"], "--image: want jpg, png, webp"),
        (["-s", "ssim", "-i", "4x4"], "4x4: ssim: INVALID_ARGUMENT"),
        (["-s", "psnr", "--metrics", "127.0.0.1:1"], "--metrics: 127.0.0.1:1"),
    ],
)
def test_a_mistake_is_told_before_any_load(
    options: list[str], message: str, small: ServerProcess, capsys: Captured
) -> None:
    assert run(["load", "--address", small.address, "--rate", "5", *options], {}) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_a_server_that_is_not_there_is_told(capsys: Captured) -> None:
    assert run(["load", "--address", "127.0.0.1:1", "--rate", "5"], {}) == 1
    assert "127.0.0.1:1 does not answer; start a server with `beholder serve`" in capsys.readouterr().err


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_server_that_goes_away_fails_the_rest_of_the_requests(start_server: StartServer, is_stream: bool) -> None:
    server = start_server(scorers=["psnr", "ssim"])

    def watch(seen: Seen) -> None:
        if seen.tally.answered > 10 and server.process.poll() is None:
            server.process.kill()

    with Fleet(server.address, mix_of(), is_stream=is_stream, watch=watch) as fleet:
        tally = fleet.run(Leg("gone", constant(30, 3.0), 0.0, 3.0)).tally
    assert tally.sent == tally.answered + tally.failed
    assert {code for _, code in tally.outcomes} == {"OK", "UNAVAILABLE"}
    assert tally.examples["good", "UNAVAILABLE"]


class Stalling(grpc.GenericRpcHandler):
    """A server that answers nobody until so many have come, then everybody at once."""

    def __init__(self, wanted: int) -> None:
        self.came, self.wanted = 0, wanted
        self._lock, self._enough = threading.Lock(), threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self.came += 1
            if self.came >= self.wanted:
                self._enough.set()
        self._enough.wait(60)
        return pb.ScoreResponse().SerializeToString()


@contextmanager
def stalling(wanted: int) -> Iterator[tuple[str, Stalling]]:
    handler = Stalling(wanted)
    server = grpc.server(ThreadPoolExecutor(wanted), [handler], options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", handler
    server.stop(None).wait()


def test_requests_go_on_being_sent_while_the_server_stalls_and_all_wait_counts() -> None:
    # It answers only when all 40 are there: whoever waits for an answer before the next request never gets one.
    pattern = constant(40, 1.0, is_even=True)
    with stalling(40) as (address, handler), Fleet(address, mix_of()) as fleet:
        tally = fleet.run(Leg("stall", pattern, 0.0, 1.0)).tally
    assert handler.came == tally.sent == tally.answered == 40
    due = list(pattern.times(1))
    assert tally.latency.total_s >= sum(due[-1] - moment for moment in due)
    waits = [block.percentile_s(100) for block in tally.blocks]
    assert all(wait >= due[-1] - moment for wait, moment in zip(waits, due[::4], strict=True))


def test_ctrl_c_ends_a_run_and_keeps_what_was_seen(small: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    where = ["--address", small.address, "--metrics", small.metrics_address, "--json", str(path)]
    command = [sys.executable, "-m", "beholder", "load", *where, "-s", "psnr", "-i", "32x32", "--rate", "20"]
    before = answered_by(small)
    process = subprocess.Popen([*command, "--for", "10m", "--warmup", "0s"], env=server_process.environment(),
                               start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    while answered_by(small) < before + 10 and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"20/s" in out
    assert b"it was stopped before its end" in err
    (leg,) = read_result(path).legs
    assert not leg["is_whole"]
    assert 5 < leg["sent"] == leg["answered"] + leg["failed"] + leg["cancelled"]


def answered_by(server: ServerProcess) -> float:
    series = scrape([server.metrics_address])
    return sum(value for (name, _), value in series.items() if name == "beholder_requests_total")


def test_json_of_a_run_is_json(small: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert load(small, "-s", "psnr", "-i", "32x32", "--in-flight", "1,2", "--stream", "--json", str(path)) == 0
    whole = json.loads(path.read_text())
    assert [leg["in_flight"] for leg in whole["legs"]] == [1, 2]
    assert whole["config"]["stream"] is True
