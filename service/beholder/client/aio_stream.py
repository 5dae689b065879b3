"""How a stream is carried by tasks: one reads the caller's samples, one the answers, the caller's own decides.

What is decided is in `stream`; this is `sync_stream` with `await`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TypeAlias

from grpc import aio

from beholder.client import wire
from beholder.client.calls import Metadata
from beholder.client.results import Result
from beholder.client.samples import ImageLike, Sample, offer
from beholder.client.stream import Answered, Broken, Event, NoMore, Offered, Stream
from beholder.clock import Clock
from beholder.errors import Unavailable
from beholder.v1.scoring_service_pb2 import ScoreStreamRequest, ScoreStreamResponse

Inbox = asyncio.Queue[Event]
Method: TypeAlias = "aio.StreamStreamMultiCallable[ScoreStreamRequest, ScoreStreamResponse]"  # generic in stubs alone
Samples = Iterable[Sample | ImageLike] | AsyncIterable[Sample | ImageLike]


async def run_stream(
    stream: Stream,
    samples: Samples,
    method: Method,
    metadata: Metadata,
    in_flight: int,
    clock: Clock,
    prepare: Callable[[], object],
) -> AsyncGenerator[tuple[int, Result]]:
    """Yield (index, result) of each sample as it is ready; closing the iterator cancels what is under way.

    `prepare` is called in a thread before each sample is handed on.
    """
    inbox, slots = Inbox(), asyncio.Semaphore(in_flight)
    feeder = asyncio.create_task(_feed(samples, slots, inbox, prepare))
    carrier: _Carrier | None = None
    try:
        while True:
            for message in stream.due(clock()):
                carrier = carrier or _Carrier(method, metadata, inbox)
                carrier.send(message)
            for finished in stream.take():
                slots.release()
                yield finished
            if stream.is_over:
                break
            for event in await _wait(inbox, stream.wake_at(), clock):
                carrier = None if isinstance(event, Broken) else carrier
                stream.handle(event, clock())
        if carrier:
            await carrier.finish()
    finally:
        feeder.cancel()
        if carrier:
            carrier.cancel()


class _Carrier:
    """One open call of a stream; a task of its own reads the answers."""

    def __init__(
        self,
        method: Method,
        metadata: Metadata,
        inbox: Inbox,
    ) -> None:
        self._outbox: asyncio.Queue[ScoreStreamRequest | None] = asyncio.Queue()
        self._inbox = inbox
        self._call = method(self._requests(), metadata=metadata)
        self._reader = asyncio.create_task(self._read())

    def send(self, message: ScoreStreamRequest) -> None:
        """Send a message; never waits."""
        self._outbox.put_nowait(message)

    async def finish(self) -> None:
        """Say that no more is sent, and let the server end the call."""
        self._outbox.put_nowait(None)
        await asyncio.wait([self._reader], timeout=1.0)

    def cancel(self) -> None:
        """End the call at once."""
        self._call.cancel()
        self._reader.cancel()

    async def _requests(self) -> AsyncIterator[ScoreStreamRequest]:
        while (message := await self._outbox.get()) is not None:
            yield message

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self._inbox.put_nowait(Answered(response))
            ended: Event = Broken(Unavailable("the server ended the stream"))
        except aio.AioRpcError as error:
            ended = Broken(wire.error_from_rpc(error))
        self._outbox.put_nowait(None)
        self._inbox.put_nowait(ended)


async def _feed(samples: Samples, slots: asyncio.Semaphore, inbox: Inbox, prepare: Callable[[], object]) -> None:
    def read(sample: Sample | ImageLike) -> Offered:
        offered = Offered(index, offer(sample, index))
        prepare()
        return offered

    index = 0
    try:
        async for sample in _each(samples):
            await slots.acquire()
            inbox.put_nowait(await asyncio.to_thread(read, sample))
            index += 1
        inbox.put_nowait(NoMore())
    except Exception as error:  # the caller's own, raised where they read results
        inbox.put_nowait(NoMore(error))


async def _each(
    samples: Samples,
) -> AsyncIterator[Sample | ImageLike]:
    if isinstance(samples, AsyncIterable):
        async for sample in samples:
            yield sample
    else:
        for sample in samples:
            yield sample


async def _wait(inbox: Inbox, wake_at: float | None, clock: Clock) -> list[Event]:
    """Return all events there are, after waiting for the first one until `wake_at` at most."""
    events: list[Event] = []
    try:
        async with asyncio.timeout(None if wake_at is None else max(0.0, wake_at - clock())):
            events.append(await inbox.get())
    except TimeoutError:
        return events
    while not inbox.empty():
        events.append(inbox.get_nowait())
    return events
