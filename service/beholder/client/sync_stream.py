"""How a stream is carried by threads: one reads the caller's samples, one the answers, the caller's own decides.

What is decided is in `stream`; events reach it through one inbox, so that it needs no lock.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Semaphore, Thread
from typing import Any, TypeAlias

import grpc

from beholder.client import wire
from beholder.client.calls import Metadata
from beholder.client.results import Result
from beholder.client.samples import ImageLike, Sample, offer
from beholder.client.stream import Answered, Broken, Event, NoMore, Offered, Stream
from beholder.clock import Clock
from beholder.errors import Unavailable
from beholder.v1.scoring_service_pb2 import ScoreStreamRequest, ScoreStreamResponse

Inbox = SimpleQueue[Event]
Method: TypeAlias = "grpc.StreamStreamMultiCallable[ScoreStreamRequest, ScoreStreamResponse]"  # generic in stubs alone


def run_stream(
    stream: Stream,
    samples: Iterable[Sample | ImageLike],
    method: Method,
    metadata: Metadata,
    in_flight: int,
    clock: Clock,
    prepare: Callable[[], object] = lambda: None,
) -> Generator[tuple[int, Result]]:
    """Yield (index, result) of each sample as it is ready; closing the iterator cancels what is under way.

    `prepare` is called before each sample is handed on, and may block.
    """
    inbox, slots, is_closed = Inbox(), Semaphore(in_flight), Flag()
    Thread(target=feed, args=(samples, slots, is_closed, inbox, prepare), daemon=True).start()
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
            for event in _wait(inbox, stream.wake_at(), clock):
                carrier = None if isinstance(event, Broken) else carrier
                stream.handle(event, clock())
        if carrier:
            carrier.finish()
    finally:
        is_closed.set()
        slots.release()
        if carrier:
            carrier.cancel()


class _Carrier:
    """One open call of a stream; a thread of its own reads the answers."""

    def __init__(
        self,
        method: Method,
        metadata: Metadata,
        inbox: SimpleQueue[Event],
    ) -> None:
        self._outbox: SimpleQueue[ScoreStreamRequest | None] = SimpleQueue()
        self._inbox = inbox
        self._call = method(iter(self._outbox.get, None), metadata=metadata)
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, message: ScoreStreamRequest) -> None:
        """Send a message; never waits."""
        self._outbox.put(message)

    def finish(self) -> None:
        """Say that no more is sent, and let the server end the call."""
        self._outbox.put(None)
        self._reader.join(timeout=1.0)

    def cancel(self) -> None:
        """End the call at once."""
        self._outbox.put(None)
        self._call.cancel()

    def _read(self) -> None:
        try:
            for response in self._call:
                self._inbox.put(Answered(response))
            ended: Event = Broken(Unavailable("the server ended the stream"))
        except grpc.RpcError as error:
            ended = Broken(wire.error_from_rpc(error))
        self._outbox.put(None)
        self._inbox.put(ended)


def feed(
    samples: Iterable[Sample | ImageLike],
    slots: Semaphore,
    is_closed: Flag,
    inbox: SimpleQueue[Any],
    prepare: Callable[[], object] = lambda: None,
) -> None:
    """Read samples into the inbox, as `Offered` and at last `NoMore`, one for each slot that is free."""
    try:
        for index, sample in enumerate(samples):
            slots.acquire()
            if is_closed.is_set():
                return
            offered = Offered(index, offer(sample, index))
            prepare()
            inbox.put(offered)
        inbox.put(NoMore())
    except BaseException as error:  # the caller's own, raised where they read results
        inbox.put(NoMore(error))


def _wait(inbox: SimpleQueue[Event], wake_at: float | None, clock: Clock) -> Iterator[Event]:
    """Yield all events there are, after waiting for the first one until `wake_at` at most."""
    try:
        yield inbox.get(timeout=None if wake_at is None else max(0.0, wake_at - clock()))
        while True:
            yield inbox.get_nowait()
    except Empty:
        return
