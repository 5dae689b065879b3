"""Calls that carry bytes and nothing else: unary ones, and messages of long streams; each ends in a code."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from grpc import aio

from beholder.client.channel import options_of, target_of
from beholder.clock import Clock
from beholder.load.mix import GONE
from beholder.load.requests import Answer, read_answer, read_stream_answer, stream_message

SCORE, SCORE_STREAM = (f"/beholder.v1.ScoringService/{name}" for name in ("Score", "ScoreStream"))
LEFT = Answer(GONE)
CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the moment, by the caller's clock, at which its request was handed to gRPC."""

    answer: Answer
    sent: float


class Caller(Protocol):
    """Something that asks; requests are serialised ScoreRequests."""

    async def ask(self, request: bytes, timeout_s: float, leave_s: float = math.inf) -> Reply:
        """Send one request and wait for its answer, at most until `leave_s`; a failure is an answer too."""

    async def close(self) -> None:
        """Let go of what was opened, and let calls under way end as CANCELLED."""


def open_channels(target: str, connections: int) -> list[aio.Channel]:
    """Return channels with a connection each."""
    options = options_of(keepalive_s=30.0, round_robin=True)
    return [aio.insecure_channel(target_of(target), options) for _ in range(connections)]


async def connect(channels: Sequence[aio.Channel]) -> None:
    """Wait until all are connected; TimeoutError where one is not after `CONNECT_S`."""
    await asyncio.wait_for(asyncio.gather(*(channel.channel_ready() for channel in channels)), CONNECT_S)


class UnaryCaller:
    """A call for each request, over the channels in turn."""

    def __init__(self, channels: Sequence[aio.Channel], clock: Clock) -> None:
        self._calls: list[Any] = [channel.unary_unary(SCORE) for channel in channels]
        self._clock, self._turn = clock, 0
        self._under_way = set[Any]()

    async def ask(self, request: bytes, timeout_s: float, leave_s: float = math.inf) -> Reply:
        """Call once."""
        self._turn = (self._turn + 1) % len(self._calls)
        sent = self._clock()
        call = self._calls[self._turn](request, timeout=timeout_s)
        self._under_way.add(call)
        leaving = asyncio.get_running_loop().call_later(leave_s, call.cancel) if leave_s < math.inf else None
        try:
            return Reply(read_answer(await call), sent)
        except aio.AioRpcError as error:
            return Reply(Answer(error.code().name, error.details() or ""), sent)
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
            return Reply(LEFT, sent)
        finally:
            self._under_way.discard(call)
            if leaving:
                leaving.cancel()

    async def close(self) -> None:
        """Cancel all calls under way."""
        for call in tuple(self._under_way):
            call.cancel()


class StreamCaller:
    """A stream on each channel, used in turn; one that broke is opened again for the next request.

    A message of a stream can't be cancelled alone, so requests whose callers go away are calls of their own.
    """

    def __init__(self, channels: Sequence[aio.Channel], clock: Clock) -> None:
        self._streams = [_Stream(channel, clock) for channel in channels]
        self._alone = UnaryCaller(channels, clock)
        self._turn = 0

    async def ask(self, request: bytes, timeout_s: float, leave_s: float = math.inf) -> Reply:
        """Send one message."""
        if leave_s < math.inf:
            return await self._alone.ask(request, timeout_s, leave_s)
        self._turn = (self._turn + 1) % len(self._streams)
        return await self._streams[self._turn].ask(request, timeout_s)

    async def close(self) -> None:
        """Cancel the streams."""
        await self._alone.close()
        for stream in self._streams:
            stream.cancel()


class _Stream:
    def __init__(self, channel: aio.Channel, clock: Clock) -> None:
        self._method: Any = channel.stream_stream(SCORE_STREAM)
        self._clock = clock
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._turn = asyncio.Lock()
        self._number = 0

    async def ask(self, request: bytes, timeout_s: float) -> Reply:
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        async with self._turn:  # gRPC takes one message at a time
            if self._reader is None or self._reader.done():
                self._call = self._method()
                self._reader = asyncio.create_task(self._read(self._call))
            self._waiting[number] = answer
            sent, reader = self._clock(), self._reader
            try:
                await self._call.write(stream_message(number, request, timeout_s))
            except (aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
                await asyncio.wait([reader])  # it knows why the stream broke, and has told all who wait
        try:
            # The server keeps the deadline; a dead one is left to itself a little later.
            return Reply(await asyncio.wait_for(answer, timeout_s + 1.0), sent)
        except TimeoutError:
            return Reply(Answer("DEADLINE_EXCEEDED", "no answer came on the stream"), sent)
        finally:
            self._waiting.pop(number, None)

    async def _read(self, call: Any) -> None:
        broken = Answer("UNAVAILABLE", "the server ended the stream")
        try:
            while (message := await call.read()) is not aio.EOF:
                number, answer = read_stream_answer(message)
                if (waiting := self._waiting.pop(number, None)) and not waiting.done():
                    waiting.set_result(answer)
            if await call.code() is not grpc.StatusCode.OK:
                broken = Answer((await call.code()).name, await call.details() or "")
        except aio.AioRpcError as error:
            broken = Answer(error.code().name, error.details() or "")
        except asyncio.CancelledError:
            broken = LEFT
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(broken)
        self._waiting.clear()

    def cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()
