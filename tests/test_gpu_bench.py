"""The bench of GPUs, on the CPU and in its smallest size: it measures all it says, and says what it can't."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beholder.scoring.catalog import load_catalog, shipped_models
from bench.gpu import cudart, ways
from bench.gpu.page import NO_GPU, page
from bench.gpu.rows import OutOfTime, Report, Row, timed
from bench.gpu.sessions import open_raw
from bench.gpu.subjects import CPU, HEAVY, Subject, exported, load_on_cpu
from server_process import REPO, environment

SCORER = "sharpness"  # its graph is committed
EXPECTED = ("CUDA", "CPU", "no-such-scorer", "no answer came")
"""Words of errors that are right here: what needs CUDA, and a machine too busy to answer in so short a time."""
PARTS = {"subjects", "copies", "host", "service", "ways", "turns", "threads", "held", "options", "decoders"}


def test_it_runs_on_the_cpu_and_leaves_out_nothing_in_silence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu_bench", "--device", "cpu", "--small", "--seconds", "0.01", "--write"]
    env = environment()
    env["PYTHONPATH"] = f"{REPO / 'tests'}:{env['PYTHONPATH']}"
    env["OMP_NUM_THREADS"] = "1"
    docs = REPO / "docs" / "gpu.md"
    before = docs.read_bytes() if docs.exists() else None
    given = ["--scorers", f"{SCORER},{HEAVY},no-such-scorer", "--output", str(tmp_path)]
    done = subprocess.run([*command, *given], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert {row["part"] for row in rows} == PARTS
    for row in rows:
        assert not row["error"] or any(word in row["error"] for word in EXPECTED), row
        assert row["error"] or row["apart"] is None or row["apart"] <= 1e-5 or "float16" in row["what"], row
    measured = {(row["part"], row["subject"]) for row in rows if row["per_s"]}
    assert measured >= {(part, name) for part in ("ways", "turns", "threads", "options") for name in (SCORER, HEAVY)}
    assert measured >= {("copies", "cpu"), ("host", SCORER), ("service", SCORER)}
    text = (tmp_path / "gpu.md").read_text()
    assert NO_GPU in text
    assert "| CUDA graph for each batch size |  | NotHere: the CPU provider has no enable_cuda_graph |" in text
    assert (docs.read_bytes() if docs.exists() else None) == before  # `--write` wrote nothing: this was no GPU


def test_the_check_holds_on_the_cpu_for_a_map_and_for_images_that_have_a_least_size() -> None:
    env = environment()
    env["PYTHONPATH"] = f"{REPO / 'tests'}:{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "bench.gpu_check", "--device", "cpu", "--small", "--seconds", "0.01"]
    done = subprocess.run([*command, "--scorers", "ssim,ms-ssim"], env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("ssim", "ssim/map", "ms-ssim"):
        assert f"ok      {name} scores as on the CPU: at most 0 apart on 10 images" in done.stdout
    assert "ok      ms-ssim can be run by two threads: at most 0 apart" in done.stdout


def test_it_fails_where_there_is_no_gpu(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("a driver is here")
    env = environment()
    env["PYTHONPATH"] = f"{REPO / 'tests'}:{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "bench.gpu_bench", "--output", str(tmp_path)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "FAILED cuda can't be had" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_error_fails_its_own_row_alone_and_is_told() -> None:
    report = Report(60, 0)
    with report.row("ways", "it", "broken", 4):
        raise ValueError("no such thing\n  a long trace\nof that\n")
    with report.row("ways", "it", "whole", 4) as row:
        report.measure(row, lambda: None)
    assert [row.error for row in report.rows] == ["ValueError: no such thing … of that", ""]
    assert [row.what for row in report.of("ways", "it")] == ["whole"]


def test_once_the_time_is_spent_nothing_more_is_measured_and_that_is_told() -> None:
    report = Report(0, 0)
    with report.row("ways", "it", "late", 1) as row:
        report.measure(row, lambda: pytest.fail("it ran"))
    assert row.error == "not measured: the 0 s of this run were spent"
    with pytest.raises(OutOfTime):
        Report(60, 0).need(61)


def test_of_all_runs_the_second_alone_is_not_told() -> None:
    runs = list[int]()
    assert len(timed(lambda: runs.append(1), 0)) == len(runs) - 1


class FakeCuda:
    """CUDA's runtime, of a device whose memory is the host's: copies are done at once."""

    def __init__(self) -> None:
        self.called = list[str]()

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            self.called.append(name)
            if name == "cudaMemcpyAsync":
                target, source, size, _, _ = arguments
                ctypes.memmove(target.value, source.value, size.value)
            return 0

        return call


def test_ways_that_need_cuda_give_what_the_plain_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they tell CUDA is checked on a GPU alone; that they mix up no batch is checked here."""
    cuda, report = FakeCuda(), Report(60, 0)
    monkeypatch.setattr(cudart, "library", lambda: cuda)
    catalog = load_catalog([shipped_models()])
    subject = exported(load_on_cpu(catalog, [SCORER]), SCORER, REPO / "tests" / "assets")
    opened = open_raw(subject, CPU)
    makes = {
        ways.PINNED: ways.Fixed,
        ways.OVERLAPPED: lambda its, feeds: ways.Overlapped(its, feeds, ctypes.c_void_p(1)),
        ways.GRAPH: lambda its, feeds: ways.Fixed(its, feeds, graph_id=3),
    }
    for what, make in makes.items():
        ways.measure(report, "ways", opened, what, 3, make)
    assert [(row.what, row.apart, row.error) for row in report.rows] == [(what, 0.0, "") for what in makes]
    once = ways.Overlapped(opened, subject.feeds(3), ctypes.c_void_p(1))
    batches = [subject.feeds(3, first) for first in (0, 5, 9)]
    found = [once(feeds) for feeds in batches]
    assert found[0] == []
    assert [np.array_equal(found[place + 1][0], opened.run(batches[place])[0]) for place in range(2)] == [True] * 2
    assert {"cudaHostRegister", "cudaStreamWaitEvent", "cudaEventSynchronize"} <= set(cuda.called)


def test_the_page_names_the_bottleneck_by_arithmetic_and_faster_arithmetic_that_costs_too_much() -> None:
    subject = Subject("it", b"", {}, 64, {}, ())
    report = Report(60, 0)
    report.rows = [
        Row("host", "it", "decode and prepare, threads: 1", per_s=500.0),
        Row("host", "it", "decode and prepare, threads: 16", per_s=4000.0),
        Row("host", "it", "decode and prepare, processes: 16", per_s=9000.0),
        Row("ways", "it", "bound, memory kept (the service)", rows=64, per_s=20000.0, ms=3.2),
        Row("ways", "it", "the same, copying nothing", rows=64, per_s=30000.0, ms=2.1),
        Row("service", "it", "unary, all known to the cache, runners: 2", per_s=1600.0),
        Row("service", "it", "stream, 128 in flight, runners: 2", per_s=1400.0),
        Row("service", "it", "stream, all known to the cache, runners: 2, fronts: 8", per_s=12000.0),
        Row("service", "it", "stream, 128 in flight, runners: 2, fronts: 8", per_s=6000.0),
        Row("service", "it", "the loop: no service, all cores", per_s=3500.0),
        Row("options", "it", "float16", rows=64, per_s=50000.0, apart=0.004),
        Row("options", "it", "TF32", rows=64, per_s=30000.0, apart=0.001),
    ]
    text = page(report, [subject], {"date": "2026-01-01"}, is_gpu=True)
    assert NO_GPU not in text
    assert "The service does 1400 images per second: 0.07 of the raw session" in text
    assert "and 0.40 of the loop, which does. By its parts the bottleneck is wire and queue alone" in text
    assert "cache): 1600 images per second; the next, decode and prepare, threads, does 2.5 times as many." in text
    assert "The service, with fronts does 6000 images per second: 0.30 of the raw session" in text
    assert "the bottleneck is decode and prepare, processes: 9000 images per second; the next, wire" in text
    assert "| float16 | 50000 / 0 | 0.004, over 0.002 |" in text
    assert "| TF32 | 30000 / 0 | 0.001 |" in text
