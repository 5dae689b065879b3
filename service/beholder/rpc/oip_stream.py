"""Answers of a stream in the order of its requests, many of which are in work at once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
STREAM_REQUESTS = 1024
"""Messages of one stream that may be in work or wait to be taken; more are read only as answers are taken."""


async def in_order(
    requests: AsyncIterator[Q], answer: Callable[[Q, int], Coroutine[Any, Any, A]], room: int = STREAM_REQUESTS
) -> AsyncGenerator[A]:
    """Give the answer to each request, in the order of the requests; what is in work ends with the generator.

    Args:
        answer: takes (request, its number from 1 on).
        room: requests that may be in work, or answered and not taken.
    """
    tasks: asyncio.Queue[asyncio.Task[A] | None] = asyncio.Queue()
    free, alive = asyncio.Semaphore(room), set[asyncio.Task[Any]]()

    def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        alive.add(task)
        task.add_done_callback(alive.discard)
        return task

    async def read() -> None:
        number = 0
        try:
            async for request in requests:
                await free.acquire()
                number += 1
                tasks.put_nowait(start(answer(request, number)))
        finally:
            tasks.put_nowait(None)

    reader = start(read())
    try:
        while (task := await tasks.get()) is not None:
            yield await task
            free.release()
        await reader
    finally:
        for task in list(alive):
            task.cancel()
