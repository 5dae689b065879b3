"""An asynchronous client asked as the others are, so that one test speaks to every kind of caller."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self

from beholder.client import AsyncClient


class Words:
    """The words of an object, each waited for; what it would stream comes as an iterator."""

    def __init__(self, of: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._of, self._loop = of, loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **words: self._wait(getattr(self._of, name)(*args, **words))

    def _wait(self, answer: Coroutine[Any, Any, Any] | AsyncIterator[Any]) -> Any:
        async def collect(stream: AsyncIterator[Any]) -> list[Any]:
            return [one async for one in stream]

        if isinstance(answer, AsyncIterator):
            return iter(self._loop.run_until_complete(collect(answer)))
        return self._loop.run_until_complete(answer)


class Blocking(Words):
    """An `AsyncClient` that waits for its own answers."""

    def __init__(self, address: str) -> None:
        loop = asyncio.new_event_loop()

        async def connect() -> AsyncClient:
            return AsyncClient(address)

        client = loop.run_until_complete(connect())
        super().__init__(client, loop)
        self.tastes = Words(client.tastes, loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the client and its loop."""
        self._wait(self._of.close())
        self._loop.close()
