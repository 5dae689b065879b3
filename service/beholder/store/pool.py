"""Connections to a database that wait for work, so that no thread shares one with another."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from beholder.errors import BeholderError, StoreUnavailable


class Closable(Protocol):
    """A connection, as far as a pool knows."""

    def close(self) -> None:
        """Let go of it; harmless where it is broken."""
        ...


C = TypeVar("C", bound=Closable)


class Pool(Generic[C]):
    """At most `size` connections, made when first needed.

    Args:
        connect: makes one.
        wait_s: how long a thread waits for its turn.
    """

    def __init__(self, connect: Callable[[], C], size: int, wait_s: float) -> None:
        self._connect, self._wait_s = connect, wait_s
        self._turns = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[C] = []
        self._is_closed = False

    @contextlib.contextmanager
    def taken(self) -> Iterator[C]:
        """Hold a connection; after an error that is the database's it is thrown away, with all that are idle.

        Raises:
            StoreUnavailable: closed, or no turn within `wait_s`.
        """
        if not self._turns.acquire(timeout=self._wait_s):
            raise StoreUnavailable(f"the store of tastes is busy: no turn within {self._wait_s:g} s", 1.0)
        try:
            connection = self._take()
            try:
                yield connection
            except BeholderError:
                self._give_back(connection)
                raise
            except BaseException:
                connection.close()
                self._close_idle()
                raise
            self._give_back(connection)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close all; those taken follow when they come back."""
        with self._lock:
            self._is_closed = True
        self._close_idle()

    def _take(self) -> C:
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable("the store of tastes is closed")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: C) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
