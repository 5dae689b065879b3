"""What is asked of every server: a closed loop of right answers, and calls whose neighbours give up."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from bench.peers.callers import TIMEOUT_S, Call
from bench.peers.job import Job
from bench.peers.peer import Peer
from bench.peers.processes import Running

IN_FLIGHT = 16
LADDER = (2, 4, 8, 32)
"""Other numbers in flight, one in each round, for rates and latencies that go together."""
RAMP_S = 0.5
"""Answers before this count for CPU time only: the pipeline fills."""
BURST = 48
CANCEL_EVERY = 3
FAILURES = (grpc.aio.AioRpcError, ConnectionError, ValueError, OSError)


@dataclass(frozen=True)
class Question:
    """One request and the score that is right."""

    request: bytes
    expected: float


def told(error: BaseException) -> str:
    """Tell a failure in one line."""
    said = f"{error.code().name} {error.details()}" if isinstance(error, grpc.aio.AioRpcError) else str(error)
    return " ".join(f"{type(error).__name__}: {said}".split())[:300]


async def first_answer(call: Call, peer: Peer, question: Question, server: Running, timeout_s: float) -> None:
    """Wait until the server gives its first answer.

    Raises:
        RuntimeError: it stopped, or gave none in time; the message says what it said last.
    """
    deadline, said = time.monotonic() + timeout_s, "nothing"
    while time.monotonic() < deadline:
        if server.exit_code is not None:
            raise RuntimeError(f"stopped with exit code {server.exit_code}")
        try:
            peer.score(await asyncio.wait_for(call(question.request), TIMEOUT_S))
        except (*FAILURES, TimeoutError) as error:
            said = told(error)
            await asyncio.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no answer in {timeout_s:g} s; the last failure: {said}")


async def closed_loop(
    call: Call, peer: Peer, questions: Sequence[Question], server: Running, seconds: float, in_flight: int = IN_FLIGHT
) -> dict[str, Any]:
    """Keep so many calls in flight for some seconds.

    Returns:
        What one round found: rates, latencies, CPU time and how far scores are from the expected ones.

    Raises:
        RuntimeError: a call failed or took longer than 20 s, so that figures would be of something else; or none came.
    """
    line = itertools.cycle(questions)
    answers: list[tuple[float, float, bytes, float]] = []
    cpu_s, own_s, started = server.usage().cpu_s, time.process_time(), time.perf_counter()

    async def caller() -> None:
        while (sent := time.perf_counter()) < started + seconds:
            question = next(line)
            answer = await asyncio.wait_for(call(question.request), TIMEOUT_S)
            answers.append((sent, time.perf_counter(), answer, question.expected))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(caller())
    except* (*FAILURES, TimeoutError) as errors:
        first = errors.exceptions[0]
        raise RuntimeError(f"a call failed under load: {told(first)}") from first
    own_s = time.process_time() - own_s
    cpu_s = server.usage().cpu_s - cpu_s
    return _rates(answers, started + RAMP_S, started + seconds) | {
        "cpu_ms": cpu_s / len(answers) * 1e3,
        "client_cpu_ms": own_s / len(answers) * 1e3,
        "score_error": max(abs(peer.score(answer) - expected) for _, _, answer, expected in answers),
    }


def _rates(answers: Sequence[tuple[float, float, bytes, float]], first: float, last: float) -> dict[str, float]:
    latencies_ms = [(done - sent) * 1e3 for sent, done, _, _ in answers if first < done <= last]
    if not latencies_ms:
        raise RuntimeError(f"no answer came in {last - first:.1f} s")
    p50, p99 = np.quantile(latencies_ms, [0.5, 0.99])
    return {"per_s": len(latencies_ms) / (last - first), "p50_ms": float(p50), "p99_ms": float(p99)}


async def idle(server: Running, seconds: float) -> float:
    """Return the part of one core that the server uses while nobody asks."""
    before, started = server.usage().cpu_s, time.perf_counter()
    await asyncio.sleep(seconds)
    return (server.usage().cpu_s - before) / (time.perf_counter() - started)


async def neighbours(call: Call, peer: Peer, questions: Sequence[Question], per_s: float) -> dict[str, int]:
    """Start 48 calls at once, give up every third while they are worked on, and see what the others get.

    Args:
        per_s: the server's rate: each is given up when half of the time is over in which its turn should come.

    Returns:
        How many of the others got a right answer, a wrong one, a failure or none in 20 s, and of four calls
        afterwards; and how many were cancelled, the rest having been answered before.
    """
    found: Counter[str] = Counter()
    some = list(itertools.islice(itertools.cycle(questions), BURST + 4))

    async def outcome(question: Question, prefix: str) -> None:
        try:
            answer = await asyncio.wait_for(call(question.request), TIMEOUT_S)
            is_right = abs(peer.score(answer) - question.expected) <= peer.tolerance
            found[prefix + ("right" if is_right else "wrong")] += 1
        except TimeoutError:
            found[prefix + "silent"] += 1
        except FAILURES:
            found[prefix + "failed"] += 1

    async def give_up(question: Question, after_s: float) -> None:
        try:
            await asyncio.wait_for(call(question.request), after_s)
        except TimeoutError:
            found["cancelled"] += 1
        except FAILURES:
            pass

    async with asyncio.TaskGroup() as group:
        for index, question in enumerate(some[:BURST]):
            if index % CANCEL_EVERY:
                group.create_task(outcome(question, ""))
            else:
                group.create_task(give_up(question, 0.5 * (index + 1) / per_s))
    for question in some[BURST:]:
        await outcome(question, "later_")
    return dict(found)


def without_server(graph: str, scorer: str, images: Sequence[bytes], cores: int, seconds: float) -> dict[str, Any]:
    """Do the job in threads, one for each core, with no server: what is possible at all."""
    job, line, lengths = Job(graph, scorer), itertools.cycle(images), []
    started, cpu_s = time.perf_counter(), time.process_time()

    def work() -> None:
        while time.perf_counter() < started + seconds:
            job.score([next(line)])
            lengths.append(1)

    with ThreadPoolExecutor(cores) as threads:
        for done in [threads.submit(work) for _ in range(cores)]:
            done.result()
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    return {"per_s": len(lengths) / elapsed_s, "cpu_ms": cpu_s / len(lengths) * 1e3}
