"""Several runs of one graph: batches of two sizes in turn, and from two threads at once."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from beholder.runtime.bound import BoundRuns
from beholder.runtime.session import Device
from beholder.types import Tensor
from bench.gpu import cudart
from bench.gpu.rows import Report, Row
from bench.gpu.sessions import Opened, open_raw, ort
from bench.gpu.subjects import Feeds, Subject
from bench.gpu.ways import FRESH, KEPT, PINNED, PLAIN, WAYS, Fixed, Once

SWITCH_S = 1e-4
"""How soon a thread that wants Python gets it, while what others hold is measured."""
LOOK_EVERY = 8
"""Of so many runs of a thread, one is compared."""
APART = 1e-3
"""Further than this from the CPU's float32, a result is wrong."""


def kept(opened: Opened) -> Once:
    """Run as the service does."""
    return BoundRuns(ort, opened.session, opened.outputs, opened.device).run


def measure_turns(report: Report, subject: Subject, device: Device, sizes: tuple[int, int]) -> None:
    """Measure two batch sizes in turn beside each alone: a convolution plans anew whenever its shape changes."""
    small, large = (subject.feeds(rows) for rows in sizes)
    name = f"batches of {sizes[0]} and {sizes[1]}"

    def one(opened: Opened) -> tuple[Once, Once]:
        return kept(opened), kept(opened)

    def two(opened: Opened) -> tuple[Once, Once]:
        return kept(opened), kept(open_raw(subject, device))

    def graphs(opened: Opened) -> tuple[Once, Once]:
        return Fixed(opened, small, sizes[0]), Fixed(opened, large, sizes[1])

    ways: dict[str, tuple[Callable[[Opened], tuple[Once, Once]], dict[str, str]]] = {
        "one session": (one, {}),
        "a session for each size": (two, {}),
        "CUDA graph for each size": (graphs, {"enable_cuda_graph": "1"}),
    }
    for what, (make, options) in ways.items():
        with report.row("turns", subject.name, f"{what}, {name}, in turn", sum(sizes)) as row:
            report.need()
            first, second = make(open_raw(subject, device, **options))
            alone = Row("turns", subject.name, what, sizes[0]), Row("turns", subject.name, what, sizes[1])
            report.measure(alone[0], lambda first=first: first(small))
            report.measure(alone[1], lambda second=second: second(large))
            report.measure(row, lambda first=first, second=second: (first(small), second(large)))
            steady_ms = alone[0].ms + alone[1].ms
            row.more |= {"steady_ms": steady_ms, "times": row.ms / steady_ms}


def measure_threads(report: Report, subject: Subject, device: Device, rows: int) -> None:
    """Measure one thread, two on one session, and two with a session each, of one batch size and of two sizes."""
    ways: dict[str, tuple[int, bool, Sequence[int]]] = {
        "one thread": (1, True, (rows,)),
        "two threads, one session": (2, True, (rows, rows)),
        "two threads, a session each": (2, False, (rows, rows)),
        "two threads, one session, two sizes": (2, True, (rows, max(1, rows // 2))),
        "two threads, a session each, two sizes": (2, False, (rows, max(1, rows // 2))),
    }
    for what, (threads, is_shared, sizes) in ways.items():
        with report.row("threads", subject.name, what, rows) as row:
            report.need()
            opened = [open_raw(subject, device) for _ in range(1 if is_shared else threads)]
            runs = [kept(its) for its in opened] * (threads if is_shared else 1)
            _run_together(report, row, subject, list(zip(runs, opened * threads, sizes, strict=False)))


def _run_together(report: Report, row: Row, subject: Subject, jobs: Sequence[tuple[Once, Opened, int]]) -> None:
    """Fill a row with images per second of all threads together, and the number of wrong results."""
    done, rates, errors = [0] * len(jobs), [0.0] * len(jobs), list[Exception]()
    start, looked = threading.Barrier(len(jobs)), list[Any]()

    def work(number: int) -> None:
        run, opened, rows = jobs[number]
        feeds: Feeds = subject.feeds(rows, number)
        try:
            run(feeds)
            start.wait()
            began = time.perf_counter()
            while time.perf_counter() < began + report.seconds:
                values: list[Tensor] = run(feeds)
                if done[number] % (LOOK_EVERY * rows) == 0:
                    looked.append((number, opened.named(values)))
                done[number] += rows
            rates[number] = done[number] / (time.perf_counter() - began)
        except Exception as error:
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    row.per_s = sum(rates)
    apart = [subject.apart(named, number) for number, named in looked]
    row.apart = max(apart)
    row.more |= {"wrong": sum(distance > APART for distance in apart), "looked": len(apart)}


def measure_held(report: Report, subject: Subject, device: Device, rows: int) -> None:
    """Measure which share of the time each way of running keeps all other Python threads from running."""
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        for what in (PLAIN, FRESH, KEPT, PINNED):
            with report.row("held", subject.name, what, rows) as row:
                report.need()
                feeds = subject.feeds(rows)
                once = WAYS[what](open_raw(subject, device), feeds)
                if what == PINNED:
                    feeds = {name: cudart.pinned(array) for name, array in feeds.items()}
                once(feeds)
                alone = _spins(lambda: None, report.seconds)
                row.more["share"] = 1 - _spins(partial(once, feeds), report.seconds) / alone
    finally:
        sys.setswitchinterval(switch_s)


def _spins(once: Callable[[], object], seconds: float) -> float:
    """Count turns per second of a loop in Python, while another thread runs a function over and over."""
    ends, done = time.perf_counter() + seconds, 1

    def work() -> None:
        while time.perf_counter() < ends:
            if once() is None:
                return

    thread = threading.Thread(target=work)
    thread.start()
    began = time.perf_counter()
    while time.perf_counter() < ends:
        done += 1
    took_s = time.perf_counter() - began
    thread.join()
    return done / took_s
