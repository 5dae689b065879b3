"""The wire between a front and an engine: what is said while something is being sent goes along in one message."""

import contextlib
import logging
import os
import pickle
import socket
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

log = logging.getLogger(__name__)

Item = tuple[Any, ...]
ROW, DROP = "row", "drop"
"""A front's: (ROW, graph, number, ((offset, shape), …), priority, deadline, request id) · (DROP, number)."""
RAN, FAILED, DROPPED = "ran", "failed", "dropped"
"""An engine's: (RAN, graph, numbers, outputs, rows of the batch, seconds that it ran, seconds that each row waited) ·
(FAILED, graph, numbers, error) · (DROPPED, graph, numbers)."""


class Link:
    """One end; both are of this server, so what is unpickled is ours.

    Args:
        name: for the threads and the log.
        wire: one end of a socket pair; owned from here on.
        hear: told what the other end said, in its order, on one thread.
        end: told once that nothing more will be heard, on the same thread.
    """

    def __init__(
        self, name: str, wire: socket.socket, hear: Callable[[Sequence[Item]], None], end: Callable[[], None]
    ) -> None:
        self._name, self._hear, self._end = name, hear, end
        self._messages = Connection(wire.detach())
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._is_closed = False

    def start(self) -> None:
        """Start to hear and to say."""
        for work in (self._listen, self._send):
            threading.Thread(target=work, name=f"{self._name}-{work.__name__}", daemon=True).start()

    def post(self, *item: Any) -> None:
        """Say something; it is dropped where the other end is gone."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Say and hear no more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._messages.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)  # unlike closing, this also ends what other threads are at

    def _send(self) -> None:
        while True:
            with self._changed:
                while not self._items and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    return None
                items, self._items = self._items, []
            try:
                self._messages.send_bytes(pickle.dumps(items, pickle.HIGHEST_PROTOCOL))
            except OSError:
                return self.close()
            except Exception:
                log.exception("%s is given up", self._name)
                return self.close()

    def _listen(self) -> None:
        try:
            while True:
                self._hear(pickle.loads(self._messages.recv_bytes()))  # noqa: S301 - from the other end of our own pair
        except (EOFError, OSError):
            log.debug("%s: the other end is gone", self._name)
        except Exception:
            log.exception("%s is given up", self._name)
        finally:
            self.close()
            self._end()
