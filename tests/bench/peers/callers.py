"""Load clients that cost little: raw bytes over gRPC, and HTTP/1.1 by hand on kept connections."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import grpc

from beholder.load.requests import stream_message

TIMEOUT_S = 20.0
Call = Callable[[bytes], Awaitable[bytes]]
"""Asks once; a cancelled task cancels the call on the wire."""
CHANNELS = 4
"""Connections of the gRPC client: a server of several processes that share a port gets some on each."""
CONNECTIONS = 64
"""Of the HTTP client, for the same reason; more than calls in flight, since a server may share them out unevenly."""


class GrpcCaller:
    """Calls one unary method with serialised messages."""

    def __init__(self, port: int, method: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        self._channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(CHANNELS)]
        self._calls = itertools.cycle([channel.unary_unary(method) for channel in self._channels])

    async def __call__(self, request: bytes) -> bytes:
        """Ask once.

        Raises:
            grpc.aio.AioRpcError: the server refuses; while it is not there, the call waits.
        """
        answer: bytes = await next(self._calls)(request, wait_for_ready=True)
        return answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))


class StreamCaller:
    """Sends all on one stream, which is opened again where it broke. A message can't be cancelled: its caller goes."""

    def __init__(self, port: int, method: str) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._method: Any = self._channel.stream_stream(method)
        self._turn, self._numbers = asyncio.Lock(), itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def __call__(self, request: bytes) -> bytes:
        """Ask once; the answer is the whole message.

        Raises:
            grpc.aio.AioRpcError: the stream broke; while the server is not there, the call waits.
        """
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        async with self._turn:  # gRPC takes one message at a time
            if self._reader is None or self._reader.done():
                self._call = self._method(wait_for_ready=True)
                self._reader = asyncio.create_task(self._read(self._call))
            self._waiting[number] = answer
            try:
                await self._call.write(stream_message(number, request, TIMEOUT_S))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._reader  # it tells all who wait
        try:
            return bytes(await answer)
        finally:
            self._waiting.pop(number, None)

    async def _read(self, call: Any) -> None:
        broken: Exception = ConnectionError("the server ended the stream")
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                if (answer := self._waiting.get(_number_of(message))) and not answer.done():
                    answer.set_result(message)
        except grpc.aio.AioRpcError as error:
            broken = error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(broken)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        await self._channel.close()


def _number_of(message: bytes) -> int:
    """Return the id of a ScoreStreamResponse, its first field."""
    number, shift = 0, 0
    for byte in message[1:11]:
        number, shift = number | (byte & 127) << shift, shift + 7
        if byte < 128:
            break
    return number


class HttpCaller:
    """Posts a body on one of 64 connections, in turn, so that a server of several processes gets some on each."""

    def __init__(self, port: int, path: str, content_type: str) -> None:
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\n".encode()
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._open = 0

    async def __call__(self, request: bytes) -> bytes:
        """Ask once.

        Raises:
            ConnectionError: the server refuses, answers other than 200, or is not there.
        """
        message = b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(request), request)
        while self._idle and self._open >= CONNECTIONS:
            try:
                return await self._ask(self._idle.popleft(), message)
            except asyncio.IncompleteReadError as error:  # the server closed what was idle
                if error.partial:
                    raise ConnectionError("the answer stops") from error
            except (BrokenPipeError, ConnectionResetError):
                pass
        connection = await asyncio.open_connection("127.0.0.1", self._port)
        self._open += 1
        try:
            return await self._ask(connection, message)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the server hangs up") from error

    async def _ask(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], message: bytes) -> bytes:
        reader, writer = connection
        is_whole = False
        try:
            writer.write(message)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            body = await _body(reader, head)
            is_whole = "connection: close" not in head
        finally:
            if is_whole:
                self._idle.append(connection)
            else:  # cancelled or failed: hang up, which is how HTTP/1.1 cancels
                self._open -= 1
                writer.close()
        status = head.split(" ", 2)[1]
        if status != "200":
            raise ConnectionError(f"{status}: {body[:200].decode(errors='replace')}")
        return body

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, writer in self._idle:
            writer.close()


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name == "content-length":
            return await reader.readexactly(int(value))
    if "transfer-encoding: chunked" not in head:
        raise ConnectionError("the answer does not tell its length")
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)
