"""ScoringService: reads requests, asks the engine, writes answers; decides nothing about scores."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from beholder.config import MIB
from beholder.engine.engine import Engine
from beholder.errors import BeholderError, InputError, InvalidSample
from beholder.metrics import Metrics
from beholder.rpc import convert
from beholder.rpc.call import Context, answering, apart, counted, deadline_of
from beholder.rpc.finding import Finder, asks_taste, image_ids
from beholder.rpc.regions import Reader, Regions
from beholder.scoring.asked import Scorer
from beholder.scoring.rank import rank
from beholder.taste.scorer import judged_among
from beholder.types import Priority, Sample, SampleResult, Score
from beholder.v1 import scoring_service_pb2 as pb
from beholder.v1 import scoring_service_pb2_grpc as pb_grpc

Answer = Callable[[pb.ScoreStreamRequest, int], Coroutine[Any, Any, pb.ScoreStreamResponse]]
STREAM_REQUESTS = 1024
"""Messages of one stream that may be in work; more are read only as answers are taken."""
EXPLAINED_SAMPLES = 32
"""Of these, samples whose maps are asked for: maps are megabytes that wait for a caller who reads slowly."""
FRAME_BYTES = 64
"""What a message of a stream holds beside its response, at most."""


class ScoringServicer(pb_grpc.ScoringServiceServicer):
    """Answers Score, ScoreStream and Rank.

    Args:
        threads: where tastes are read that are not in memory, and what takes long is done.
        default_timeout_s: deadline of calls that bring none.
        max_message_bytes: of an answer.
        regions: memory in which callers' images may lie.
    """

    def __init__(
        self,
        engine: Engine,
        finder: Finder,
        threads: ThreadPoolExecutor,
        default_timeout_s: float,
        max_message_bytes: int,
        metrics: Metrics,
        regions: Regions,
    ) -> None:
        self._engine, self._finder, self._threads, self._regions = engine, finder, threads, regions
        self._default_timeout_s = default_timeout_s
        self._max_answer_bytes = max_message_bytes - FRAME_BYTES
        self._metrics = metrics

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:  # noqa: N802, D102
        async with answering("Score", context, self._engine.clock, self._metrics) as request_id:
            return await self._score(request, self._deadline(context), request_id)

    async def Rank(self, request: pb.RankRequest, context: Context) -> pb.RankResponse:  # noqa: N802, D102
        async with answering("Rank", context, self._engine.clock, self._metrics) as request_id:
            try:
                return await self._rank(request, self._deadline(context), request_id)
            except InputError as error:
                error.field = convert.rank_field(error.field)
                raise

    async def ScoreStream(  # noqa: N802, D102
        self, requests: AsyncIterator[pb.ScoreStreamRequest], context: Context
    ) -> AsyncIterator[pb.ScoreStreamResponse]:
        async with answering("ScoreStream", context, self._engine.clock, self._metrics) as request_id:
            stream = _Stream(lambda message, number: self._answer(message, context, f"{request_id}.{number}"))
            async with contextlib.aclosing(stream.answers(requests)) as answers:
                async for response in answers:
                    yield response

    def _deadline(self, context: Context) -> float:
        return deadline_of(context, self._engine.clock, self._default_timeout_s)

    async def _score(self, request: pb.ScoreRequest, deadline_s: float, request_id: str) -> pb.ScoreResponse:
        scorers = await self._find(request.scorers, request.panel, request.explain)
        samples = convert.samples_from(request.samples, Reader(self._regions))
        priority = convert.PRIORITIES.get(request.priority)
        results = await self._results(samples, scorers, deadline_s, priority, request_id, request.explain)
        ids = await self._image_ids(samples, scorers)
        response = convert.results_to(results, ids)
        self._check_size(response.ByteSize())
        return response

    def _check_size(self, answer_bytes: int) -> None:
        if answer_bytes > self._max_answer_bytes:
            found, limit = answer_bytes / MIB, self._max_answer_bytes / MIB
            raise InvalidSample(
                f"want an answer of at most {limit:.0f} MiB, got {found:.6g} MiB or more; "
                "ask about fewer samples or scorers at once",
                "samples",
            )

    async def _rank(self, request: pb.RankRequest, deadline_s: float, request_id: str) -> pb.RankResponse:
        weights = convert.weights_from(request.scorers)
        scorers = await self._find(list(weights))
        normalisation = convert.NORMALISATIONS.get(request.normalisation)
        if normalisation is None:
            raise InvalidSample(f"unknown value {request.normalisation}", "normalisation")
        directions = {scorer.spec.name: scorer.spec.direction for scorer in scorers}
        rank([], weights, directions, normalisation)
        reader, has_reference = Reader(self._regions), request.HasField("reference")
        reference = convert.image_from(request.reference, "reference", reader) if has_reference else None
        samples: list[Sample | InputError] = []
        for index, message in enumerate(request.candidates):
            try:
                candidate = convert.image_from(message, f"samples[{index}].candidate", reader)
                samples.append(Sample(candidate, reference, request.prompt or None))
            except InputError as error:
                samples.append(error)
        priority = convert.PRIORITIES.get(request.priority)
        results = await self._results(samples, scorers, deadline_s, priority, request_id)
        if asks_taste(scorers):
            results = await apart(self._threads, partial(judged_among, scorers, results))
        ids = await self._image_ids(samples, scorers)
        return convert.ranking_to(rank(results, weights, directions, normalisation), results, ids)

    async def _find(self, names: Sequence[str], panel: str = "", explain: bool = False) -> list[Scorer]:
        found = self._finder.at_once(names, panel, explain=explain)
        if found is None:
            found = await apart(self._threads, partial(self._finder.find, names, panel, explain=explain))
        return found

    async def _image_ids(self, samples: Sequence[Sample | InputError], scorers: Sequence[Scorer]) -> list[str]:
        ids = partial(image_ids, samples, scorers)
        return await apart(self._threads, ids) if asks_taste(scorers) else ids()

    async def _results(
        self,
        samples: Sequence[Sample | InputError],
        scorers: Sequence[Scorer],
        deadline_s: float,
        priority: Priority | None,
        request_id: str,
        explain: bool = False,
    ) -> list[SampleResult]:
        if priority is None:
            raise InvalidSample("unknown value", "priority")
        maps = _Maps(self._max_answer_bytes)
        job = self._engine.submit(
            samples,
            scorers,
            deadline_s=deadline_s,
            priority=priority,
            request_id=request_id,
            on_result=maps.add if explain else None,
        )
        job.add_done_callback(maps.end)
        try:
            self._check_size(await maps.done)
        except (asyncio.CancelledError, InputError):
            job.cancel()
            raise
        return job.wait()

    async def _answer(
        self, message: pb.ScoreStreamRequest, context: Context, request_id: str
    ) -> pb.ScoreStreamResponse:
        clock = self._engine.clock
        deadline_s = self._deadline(context)
        if message.timeout_ms:
            deadline_s = min(deadline_s, clock() + message.timeout_ms / 1e3)
        try:
            with counted("ScoreStream.message", request_id, clock, self._metrics):
                response = await self._score(message.request, deadline_s, request_id)
        except BeholderError as error:
            return pb.ScoreStreamResponse(id=message.id, error=convert.error_to(error))
        return pb.ScoreStreamResponse(id=message.id, response=response)


class _Maps:
    """Weighs the maps of an answer as they come, so that those that do not fit into it are not held first.

    Args:
        max_bytes: of the answer.
    """

    def __init__(self, max_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_bytes, self._bytes = max_bytes, 0
        self.done: asyncio.Future[int] = self._loop.create_future()
        """The bytes of all maps, once the answer is whole, or of those so far, once they are too many."""

    def add(self, _index: int, result: SampleResult) -> None:
        """Weigh one sample's; on any thread."""
        maps = [outcome.map for outcome in result.values() if isinstance(outcome, Score) and outcome.map]
        self._loop.call_soon_threadsafe(self._add, sum(len(one.png) for one in maps))

    def end(self) -> None:
        """Tell that the answer is whole; on any thread."""
        self._loop.call_soon_threadsafe(self._end)

    def _add(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        if self._bytes > self._max_bytes:
            self._end()

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(self._bytes)


class _Stream:
    """Reads messages, works on many at once, and gives answers as they are ready."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._answers: asyncio.Queue[tuple[pb.ScoreStreamResponse, int] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(STREAM_REQUESTS)
        self._ids: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def answers(self, requests: AsyncIterator[pb.ScoreStreamRequest]) -> AsyncGenerator[pb.ScoreStreamResponse]:
        reader = asyncio.create_task(self._read(requests))
        try:
            while (answer := await self._answers.get()) is not None:
                response, places = answer
                yield response
                for _ in range(places):
                    self._room.release()
            await reader
        finally:
            for task in (reader, *self._tasks):
                task.cancel()

    async def _read(self, requests: AsyncIterator[pb.ScoreStreamRequest]) -> None:
        number = 0
        try:
            async for message in requests:
                places = _places(message.request)
                for _ in range(places):
                    await self._room.acquire()
                number += 1
                task = asyncio.create_task(self._work(message, number, places))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self._answers.put_nowait(None)

    async def _work(self, message: pb.ScoreStreamRequest, number: int, places: int) -> None:
        if message.id in self._ids:
            taken = InvalidSample(f"{message.id} is still being answered on this stream", "id")
            self._answers.put_nowait((pb.ScoreStreamResponse(id=message.id, error=convert.error_to(taken)), places))
            return
        self._ids.add(message.id)
        try:
            response = await self._answer(message, number)
        finally:
            self._ids.discard(message.id)
        self._answers.put_nowait((response, places))


def _places(request: pb.ScoreRequest) -> int:
    """Return what a message takes of a stream's room; the largest takes all of it."""
    each = STREAM_REQUESTS // EXPLAINED_SAMPLES
    return min(max(1, len(request.samples)) * each, STREAM_REQUESTS) if request.explain else 1
