"""The client for asyncio: the same words as `sync`, and the same decisions, taken in `calls` and `stream`.

Use one in the event loop that made it. Files are read in threads, so that the loop goes on.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from beholder.client import wire
from beholder.client.aio_stream import run_stream
from beholder.client.aio_tastes import AsyncTastes
from beholder.client.calls import Ask, Call, Defaults, ScoreCall, get_call, list_call, rank_call, weights_of
from beholder.client.channel import options_of, target_of
from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.client.retry import Retry
from beholder.client.samples import ImageLike, Sample, images_of, samples_of
from beholder.client.shared import Parcel, Shared, ask_server
from beholder.client.stream import Stream
from beholder.client.taste_calls import TasteCall
from beholder.clock import Clock, monotonic
from beholder.types import U8, Normalisation, Priority
from beholder.v1 import scorer_service_pb2_grpc, scoring_service_pb2_grpc, taste_service_pb2_grpc

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


class AsyncClient:
    """A connection to one Beholder server, or to many replicas of it; its arguments are those of `Client`."""

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        timeout_s: float = 30.0,
        retries: int = 4,
        credentials: grpc.ChannelCredentials | None = None,
        keepalive_s: float = 30.0,
        round_robin: bool = True,
        shm: bool | str | os.PathLike[str] = False,
        shm_mb: int = 64,
        clock: Clock = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        address, options = target_of(target), options_of(keepalive_s=keepalive_s, round_robin=round_robin)
        if credentials:
            self._channel = aio.secure_channel(address, credentials, options)
        else:
            self._channel = aio.insecure_channel(address, options)
        self._sleep = sleep
        self._scoring = scoring_service_pb2_grpc.ScoringServiceStub(self._channel)
        self._scorers = scorer_service_pb2_grpc.ScorerServiceStub(self._channel)
        self._taste_service = taste_service_pb2_grpc.TasteServiceStub(self._channel)
        self._shared = Shared(shm, shm_mb, partial(ask_server, address, credentials, options), address, clock)
        self._defaults = Defaults(Retry(retries), timeout_s, clock, partial(Parcel, self._shared.lease))
        self.tastes = AsyncTastes(self._ask_taste, self._defaults)
        self._check = health_pb2_grpc.HealthStub(self._channel).Check  # type: ignore[attr-defined]  # made at run time

    async def score(
        self,
        candidates: ImageLike | Iterable[ImageLike],
        *,
        scorers: Sequence[str] = (),
        panel: str = "",
        references: ImageLike | Iterable[ImageLike | None] | None = None,
        prompts: str | Iterable[str | None] | None = None,
        priority: Priority = Priority.INTERACTIVE,
        explain: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> list[Result]:
        """Score candidates in one request; see `Client.score`."""
        ask = Ask(scorers, panel, priority, explain)
        terms = self._defaults.terms(timeout_s, request_id)
        samples = samples_of(candidates, references, prompts)
        return await self._run(self._scoring.Score, await asyncio.to_thread(ScoreCall, samples, ask, terms))

    def score_stream(
        self,
        samples: Iterable[Sample | ImageLike] | AsyncIterable[Sample | ImageLike],
        *,
        scorers: Sequence[str] = (),
        panel: str = "",
        priority: Priority = Priority.INTERACTIVE,
        explain: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
        in_flight: int = 32,
    ) -> AsyncGenerator[tuple[int, Result]]:
        """Score samples as they come, over one stream; see `Client.score_stream`.

        `samples` may be an async iterable too. To leave the loop early, hold the iterator in `contextlib.aclosing`.
        """
        wanted_s = self._defaults.timeout_s if timeout_s is None else timeout_s
        stream = Stream(
            Ask(scorers, panel, priority, explain), self._defaults.retry, wanted_s, self._shared.held_parcel
        )
        metadata = self._defaults.terms(timeout_s, request_id).metadata
        return run_stream(
            stream, samples, self._scoring.ScoreStream, metadata, in_flight, self._defaults.clock, self._shared.lease
        )

    async def rank(
        self,
        candidates: ImageLike | Iterable[ImageLike],
        scorers: Mapping[str, float] | Iterable[str],
        *,
        reference: ImageLike | None = None,
        prompt: str | None = None,
        normalisation: Normalisation = Normalisation.STANDARD,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> list[Ranked]:
        """Order candidates from best to worst (best-of-N); see `Client.rank`."""
        terms = self._defaults.terms(timeout_s, request_id)
        parts = (images_of(candidates), weights_of(scorers), reference, prompt, normalisation, priority, terms)
        return await self._run(self._scoring.Rank, await asyncio.to_thread(rank_call, *parts))

    async def scorers(self) -> list[ScorerInfo]:
        """Describe all scorers, without their cards."""
        return await self._run(self._scorers.ListScorers, list_call(wire.scorers_from, self._defaults.terms(None, "")))

    async def panels(self) -> dict[str, tuple[str, ...]]:
        """Return panel name -> its scorers."""
        return await self._run(self._scorers.ListScorers, list_call(wire.panels_from, self._defaults.terms(None, "")))

    async def scorer(self, name: str) -> ScorerInfo:
        """Describe one scorer, with its card; see `Client.scorer`."""
        return await self._run(self._scorers.GetScorer, get_call(name, self._defaults.terms(None, "")))

    async def ready(self) -> bool:
        """Return whether a server answers and takes requests; never retries."""
        try:
            answer = await self._check(health_pb2.HealthCheckRequest(), timeout=self._defaults.timeout_s)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    @property
    def shares_memory(self) -> bool:
        """Whether the server lends memory for images just now; it is asked for at the first call that has any."""
        return self._shared.is_lent

    async def canvas(self, height_px: int, width_px: int) -> U8:
        """Return pixels (H, W, 3) from where they need not be copied to be shared; see `Client.canvas`."""
        return await asyncio.to_thread(self._shared.canvas, height_px, width_px)

    async def close(self) -> None:
        """Close the connection and cancel calls under way."""
        await self._channel.close()
        self._shared.close()  # last: its end frees what calls may still want to read

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask_taste(self, call: TasteCall[Q, A, R]) -> R:
        return await self._run(getattr(self._taste_service, call.method), call)

    async def _run(self, method: "aio.UnaryUnaryMultiCallable[Q, A]", call: Call[Q, A, R]) -> R:
        clock = self._defaults.clock
        delay_s: float | None = None if call.is_empty else 0.0
        while delay_s is not None:
            if delay_s:
                await self._sleep(delay_s)
            try:
                answer = await method(call.to_send(), timeout=call.left_s(clock()), metadata=call.metadata)
            except aio.AioRpcError as error:
                delay_s = call.failed(wire.error_from_rpc(error), clock())
            else:
                delay_s = call.answered(answer, clock())
        call.end()
        return call.result
