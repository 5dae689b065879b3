"""A load client: so many calls in flight, each followed at once by the next; requests are serialised beforehand."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import psutil

from beholder.v1 import scoring_service_pb2 as pb
from server_process import ServerProcess

METHOD = "/beholder.v1.ScoringService/Score"
RAMP_S = 0.5
"""Answers before this are not counted: the pipeline fills."""


@dataclass(frozen=True)
class Run:
    """What one run showed.

    Attributes:
        rate: answers per second.
        cpu_ms: of the server, for one answer.
        latencies_ms: of each answer counted.
    """

    rate: float
    cpu_ms: float
    latencies_ms: Sequence[float]


def quantiles_ms(runs: Sequence[Run]) -> tuple[float, float]:
    """Return p50 and p99 over all answers of several runs."""
    latencies = np.concatenate([run.latencies_ms for run in runs])
    p50, p99 = np.quantile(latencies, [0.5, 0.99])
    return float(p50), float(p99)


def closed_loop(server: ServerProcess, requests: Sequence[bytes], in_flight: int, seconds: float) -> Run:
    """Call `Score` for some seconds.

    Args:
        requests: serialised ScoreRequests, sent round and round.

    Raises:
        RuntimeError: an answer holds an error; the figures would be of something else.
    """
    return asyncio.run(_closed_loop(server, itertools.cycle(requests), in_flight, seconds))


async def _closed_loop(server: ServerProcess, requests: Iterator[bytes], in_flight: int, seconds: float) -> Run:
    process = psutil.Process(server.process.pid)
    answers: list[tuple[float, float, bytes]] = []
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.address, options=options) as channel:
        call = channel.unary_unary(METHOD)
        await call(next(requests), wait_for_ready=True)
        started, cpu_s = time.perf_counter(), _cpu_s(process)

        async def caller() -> None:
            while (sent := time.perf_counter()) < started + seconds:
                answer = await call(next(requests))
                answers.append((sent, time.perf_counter(), answer))

        await asyncio.gather(*(caller() for _ in range(in_flight)))
        cpu_s = _cpu_s(process) - cpu_s
    for _, _, answer in answers:
        _check(answer)
    first, last = started + RAMP_S, started + seconds
    counted = [(done - sent) * 1e3 for sent, done, _ in answers if first < done <= last]
    return Run(len(counted) / (last - first), cpu_s / len(answers) * 1e3, counted)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _check(answer: bytes) -> None:
    for sample in pb.ScoreResponse.FromString(answer).samples:
        for result in sample.results:
            if result.HasField("error"):
                raise RuntimeError(f"{result.scorer}: {result.error.message}")
