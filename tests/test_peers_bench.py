"""The bench of peers: its page, what it reads of answers, its HTTP client, and that it ends what it starts."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tritonclient.grpc import service_pb2 as oip  # ours can not be in one process with it

from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import apply
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.types import EncodedImage
from bench.peers import processes, report
from bench.peers.callers import HttpCaller, StreamCaller
from bench.peers.install import told
from bench.peers.job import PREPARE
from bench.peers.latency import rate_at
from bench.peers.load import IN_FLIGHT, LADDER, Question, closed_loop, neighbours
from bench.peers.material import SCORERS, images
from bench.peers.servers.all import PEERS
from server_process import REPO, StartServer

ABOUT = {"date": "2026-01-01", "cores": 2, "processor": "a processor", "python": "3.11", "others_cores": 0.0}
ABOUT |= {"in_flight": 16, "seconds": 5.0, "rounds": 2, "load_before": 0.1}


def measured(per_s: float, cpu_ms: float, **more: Any) -> dict[str, Any]:
    found = {"per_s": per_s, "cpu_ms": cpu_ms, "client_cpu_ms": 0.5, "p50_ms": 10.0, "p99_ms": 20.0}
    return found | {"score_error": 0.0} | more


def entry(name: str, *rounds: dict[str, Any], failed: str = "", **alone: Any) -> dict[str, Any]:
    its = {"rss_mb": 200.0, "pss_mb": 100.0, "processes": 1, "start_s": 1.0, "idle": 0.01, "stop_s": 1.0}
    its |= {"is_killed": False, "neighbours": {"cancelled": 15, "right": 32, "later_right": 4}} | alone
    made = {"name": name, "wire": "a wire", "settings": "its settings"}
    return made | ({"loads": {}, "failed": failed} if failed else {"loads": {str(IN_FLIGHT): rounds}, "alone": its})


def page(**peers: dict[str, Any]) -> str:
    plain = [{"per_s": 150.0, "cpu_ms": 8.0}]
    job = {"job": "a graph", "kb": [40, 70], "plain": plain, "peers": peers}
    return report.page({"about": ABOUT, "scorers": {"content-labels": job}})


def row(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_orders_by_cpu_and_compares_within_rounds() -> None:
    ours = entry("Beholder", measured(100.0, 10.0), measured(50.0, 11.0))
    text = page(beholder=ours, quick=entry("Quick", measured(200.0, 9.0), measured(50.0, 9.0)))
    assert text.index("| Quick |") < text.index("| Beholder |")
    assert row(text, "Quick")[1:5] == ["125.0", "1.50 (1.25 to 1.75)", "9.00", "0.86 (0.84 to 0.88)"]
    assert row(text, "Beholder")[1:5] == ["75.0", "", "10.50", ""]
    assert row(text, "the job in threads, no server")[1] == "150.0"


def test_the_page_says_where_others_do_better() -> None:
    ours = entry("Beholder", measured(100.0, 10.0))
    text = page(beholder=ours, small=entry("Small", measured(90.0, 12.0), pss_mb=50.0))
    assert "- less memory (PSS): Small\n" in text
    assert "- less CPU each" not in text
    assert "- less idle CPU" not in text
    assert "- nowhere in this run" in page(beholder=ours)


def test_a_peer_that_failed_is_told_with_its_reason() -> None:
    text = page(beholder=entry("Beholder", measured(100.0, 10.0)), gone=entry("Gone", failed="not installed: no wheel"))
    assert "- Gone: not installed: no wheel\n" in text
    assert "| Gone |" not in text


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "was busy" not in page()
    monkeypatch.setitem(ABOUT, "others_cores", 0.5)
    assert "**The machine was busy with other work meanwhile**" in page()


def test_a_round_in_which_one_server_was_slow_decides_nothing() -> None:
    ours = entry("Beholder", measured(100.0, 10.0), measured(100.0, 10.0), measured(50.0, 20.0))
    same = entry("Same", measured(101.0, 10.1), measured(40.0, 25.0), measured(50.0, 20.0))
    assert "- nowhere in this run" in page(beholder=ours, same=same)


def test_neighbours_and_kills_are_told() -> None:
    found = {"cancelled": 16, "right": 30, "silent": 2, "later_failed": 4}
    text = page(bad=entry("Bad", measured(1.0, 1.0), is_killed=True, neighbours=found))
    rows = [line for line in text.splitlines() if line.startswith("| Bad |")]
    assert rows[-1] == "| Bad | 16 | 30 of 32 | 0 | 0 | 2 | 0 of 4 |"
    assert "1.0, killed" in rows[1]


def test_scores_that_differ_are_told() -> None:
    off, near = measured(1.0, 1.0, score_error=0.02), measured(1.0, 1.0, score_error=3e-7)
    text = page(off=entry("Off", off), near=entry("Near", near))
    assert row(text, "Off")[-1] == "2e-02 off"
    assert row(text, "Near")[-1] == "equal within 3e-07"


def test_the_page_in_docs_is_made_of_its_json() -> None:
    assert report.PAGE.read_text(encoding="utf-8") == report.page(json.loads(report.KEPT.read_text(encoding="utf-8")))


def test_kept_numbers_have_four_digits(tmp_path: Path) -> None:
    report.write_kept({"a": [{"b": 1.23456789, "c": 12345678, "d": "x"}]}, tmp_path / "kept.json")
    assert json.loads((tmp_path / "kept.json").read_text()) == {"a": [{"b": 1.235, "c": 12345678, "d": "x"}]}


def test_scores_are_read_raw_and_typed() -> None:
    tensor = oip.ModelInferResponse.InferOutputTensor
    raw = oip.ModelInferResponse(outputs=[tensor(name="score")], raw_output_contents=[b"\0\0\0\x3f"])
    typed = oip.ModelInferResponse(outputs=[tensor(name="score", contents={"fp32_contents": [0.25]})])
    assert PEERS["triton"].score(raw.SerializeToString()) == 0.5
    assert PEERS["mlserver"].score(typed.SerializeToString()) == 0.25
    with pytest.raises(ValueError, match="no output called score"):
        PEERS["kserve"].score(b"")
    assert PEERS["mosec"].score(b"0.125") == 0.125
    with pytest.raises(ValueError, match="want a number"):
        PEERS["bentoml"].score(b'{"error": "x"}')


def test_the_image_is_one_element_behind_its_length() -> None:
    request = oip.ModelInferRequest.FromString(PEERS["triton"].request(b"image", "psnr"))
    assert list(request.raw_input_contents) == [b"\x05\0\0\0image"]
    assert (request.inputs[0].datatype, list(request.inputs[0].shape)) == ("BYTES", [1, 1])


def test_names_of_packages_are_read_from_pins() -> None:
    assert told(PEERS["ray-serve"])[0] == "ray"
    assert told(PEERS["triton"])[:2] == ["nvidia-pytriton", "numpy"]


def loaded(name: str, *points: tuple[float, float]) -> dict[str, Any]:
    """Return a server by the (p99, rate) of each number of calls in flight."""
    counts = zip(sorted((*LADDER, IN_FLIGHT)), points, strict=True)
    loads = {str(count): [measured(rate, 10.0, p99_ms=p99)] for count, (p99, rate) in counts}
    return entry(name, measured(1.0, 1.0)) | {"loads": loads}


def test_rates_are_compared_at_equal_p99() -> None:
    ours = loaded("Beholder", (10, 40), (20, 80), (40, 90), (80, 100), (160, 100))
    other = loaded("Other", (20, 40), (40, 60), (80, 80), (160, 100), (320, 110))
    text = page(beholder=ours, other=other)
    found = [line for line in text.splitlines() if line.startswith("| Other |")]
    assert found[1] == "| Other | 40, 20 | 60, 40 | 80, 80 | 100, 160 | 110, 320 |"
    assert found[2] == "| Other | none | 40 | 60 | 80 | 100 |"
    assert "2.00 of Other within 20 ms; 1.50 of Other within 40 ms; 1.25 of Other within 80 ms" in text


def test_one_that_failed_in_the_middle_is_not_compared_at_equal_p99() -> None:
    ours = loaded("Beholder", (10, 40), (20, 80), (40, 90), (80, 100), (160, 100))
    gone = entry("Gone", measured(90.0, 10.0)) | {"failed": "a call failed"}
    text = page(beholder=ours, gone=gone)
    assert row(text, "Gone")[1] == "90.0"
    assert "Gone, " not in text
    assert "- Gone: a call failed\n" in text


def test_a_rate_within_a_p99_lies_on_the_line_between_neighbours() -> None:
    curve = [(10.0, 50.0), (30.0, 70.0), (20.0, 90.0)]
    assert [rate_at(curve, p99) for p99 in (5, 10, 15, 20, 30)] == [0.0, 50.0, 55.0, 90.0, 90.0]


def test_both_jobs_prepare_as_the_scorers_do() -> None:
    catalog = load_catalog([shipped_models()])
    for scorer, (encoder, _) in SCORERS.items():
        steps = (catalog.encoders[encoder] if encoder else catalog.scorers[scorer]).image.steps
        for image in images(3):
            pixels = decode(EncodedImage(image), Limits(10**6, 10**7), "candidate")
            assert np.array_equal(PREPARE[scorer](image), apply(steps, pixels))
    with pytest.raises(ValueError, match="want a square image"):
        PREPARE["image-safety"]((REPO / "tests" / "assets" / "landscape-q30.jpg").read_bytes())


def test_one_stream_carries_all_and_is_opened_again(start_server: StartServer) -> None:
    server, peer = start_server(scorers=["sharpness"]), PEERS["beholder-stream"]
    requests = [peer.request(image, "sharpness") for image in images(3, 64)]

    async def run() -> list[list[float]]:
        port, found = int(server.address.rpartition(":")[2]), []
        async with StreamCaller(port, "/beholder.v1.ScoringService/ScoreStream") as call:
            for _ in range(2):
                answers = await asyncio.gather(*(call(request) for request in [*requests, *requests]))
                found.append([peer.score(answer) for answer in answers])
                call._call.cancel()
                await asyncio.wait([call._reader])
        return found

    first, again = asyncio.run(run())
    assert first == again == [*first[:3], *first[:3]]
    assert len(set(first)) == 3


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(handler: Handler, *bodies: bytes) -> list[bytes | BaseException]:
    """Post bodies, one after the other, to a server of one function."""

    async def run() -> list[bytes | BaseException]:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        async with server, HttpCaller(server.sockets[0].getsockname()[1], "/", "image/jpeg") as call:
            return [(await asyncio.gather(call(body), return_exceptions=True))[0] for body in bodies]

    return asyncio.run(run())


def answering(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        writer.write(answer.replace(b"BODY", await reader.readexactly(length)))
        writer.close()

    return handle


def test_http_answers_have_a_length_or_chunks() -> None:
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nBODY"
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nBOD\r\n2\r\nYS\r\n0\r\n\r\n"
    )
    assert ask(answering(plain), b"right", b"again") == [b"right", b"again"]
    assert ask(answering(chunked), b"") == [b"BODYS"]


def test_http_failures_are_connection_errors() -> None:
    (refused,) = ask(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull"), b"x")
    (cut,) = ask(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsho"), b"x")
    assert isinstance(refused, ConnectionError)
    assert str(refused) == "503: full"
    assert isinstance(cut, ConnectionError)


def test_a_cancelled_http_call_hangs_up() -> None:
    async def run() -> bytes:
        ends: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\nx")
            ends.set_result(await reader.read())
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server, HttpCaller(server.sockets[0].getsockname()[1], "/", "image/jpeg") as call:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(b"x"), 0.2)
            return await asyncio.wait_for(ends, 10)

    assert asyncio.run(run()) == b""


class NoServer(processes.Running):
    """A server of no processes."""

    def __init__(self) -> None:
        pass

    def usage(self) -> processes.Usage:
        return processes.Usage(0.0, 0.0, 0.0, 0)


async def slow(request: bytes) -> bytes:
    await asyncio.sleep(0.01)
    return request


async def full(request: bytes) -> bytes:
    raise ConnectionError("full")


def test_the_loop_checks_scores_and_stops_at_failures() -> None:
    peer = PEERS["mosec"]
    found = asyncio.run(closed_loop(slow, peer, [Question(b"0.5", 0.5), Question(b"0.25", 0.5)], NoServer(), 1.5))
    assert found["score_error"] == 0.25
    assert found["per_s"] > IN_FLIGHT
    with pytest.raises(RuntimeError, match="a call failed under load: ConnectionError: full"):
        asyncio.run(closed_loop(full, peer, [Question(b"0.5", 0.5)], NoServer(), 0.6))


def test_neighbours_are_counted_by_what_they_get() -> None:
    peer = PEERS["mosec"]
    found = asyncio.run(neighbours(slow, peer, [Question(b"0.5", 0.5), Question(b"0.25", 0.5)], 1e6))
    assert found == {"cancelled": 16, "right": 16, "wrong": 16, "later_right": 2, "later_wrong": 2}


def test_a_held_server_takes_no_processor_time_and_goes_on(tmp_path: Path) -> None:
    program = "while True: pass"
    with processes.running([sys.executable, "-c", program], {}, tmp_path, tmp_path / "log") as server:

        def spent(seconds: float) -> float:
            before = server.usage().cpu_s
            time.sleep(seconds)
            return server.usage().cpu_s - before

        assert spent(1.0) > 0
        server.pause()
        assert spent(0.5) == 0
        server.go_on()
        assert spent(1.0) > 0
        server.pause()
        _, is_killed = server.stop()
        assert not is_killed


def test_all_that_a_server_starts_is_found_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_S", 0.5)
    command = [
        "sh",
        "-c",
        "setsid sleep 60 & sleep 60",
    ]  # the first leaves the group and outlives SIGTERM to its parent
    with processes.running(command, {}, tmp_path, tmp_path / "log") as server:
        deadline = time.monotonic() + 20
        while server.usage().processes < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        members = server.members()
        assert len(members) == 3
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in members)
