"""What the parent and a process that it started say to each other, with descriptors where they are handed over."""

import logging
import os
import pickle
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NoReturn

log = logging.getLogger(__name__)
Said = tuple[str, Any, list[int]]
"""(what, with which value, descriptors)."""
Order = Callable[[Any, list[int]], object]
"""Takes the value and the descriptors."""
START, LINK, METRICS, DRAIN, STOP = "start", "link", "metrics", "drain", "stop"
KNOW, FORGET = "know", "forget"
"""The parent's words; KNOW and FORGET are of memory that is lent."""
DESCRIBED, READY, FAILED = "described", "ready", "failed"
"""An engine's words; FAILED is anybody's who can't start."""
BUILT, SERVING, LOST, KNOWN = "built", "serving", "lost", "known"
"""A front's: LOST is the link to an engine, KNOWN what it was told to know."""


class Control:
    """One end; what is unpickled comes from the other end, which is this server's too.

    Args:
        wire: one end of a socket pair; owned from here on.
    """

    def __init__(self, wire: socket.socket) -> None:
        self._messages = Connection(wire.detach())
        self._turn = threading.Lock()

    def say(self, what: str, value: object = None, descriptors: Sequence[int] = ()) -> None:
        """Tell the other end, which gets descriptors of its own.

        Raises:
            OSError: it is gone.
        """
        with self._turn:
            self._messages.send_bytes(pickle.dumps((what, value, len(descriptors)), pickle.HIGHEST_PROTOCOL))
            if descriptors:
                with socket.socket(fileno=os.dup(self._messages.fileno())) as wire:
                    socket.send_fds(wire, [b"+"], descriptors)

    def hear(self) -> Said:
        """Wait for what the other end says; one thread at a time.

        Raises:
            EOFError, OSError: it is gone.
        """
        what, value, count = pickle.loads(self._messages.recv_bytes())  # noqa: S301 - from our own socket pair
        descriptors = list[int]()
        if count:
            with socket.socket(fileno=os.dup(self._messages.fileno())) as wire:
                descriptors = list(socket.recv_fds(wire, 1, count)[1])
        return what, value, descriptors

    def obey(self) -> dict[str, Order]:
        """Follow the parent's words on a thread of their own, and end the process with the parent.

        Returns:
            What to do at which word; filled in by the caller before the parent may say it.
        """
        orders = dict[str, Order]()
        threading.Thread(target=self._obey, args=(orders,), name="control", daemon=True).start()
        return orders

    def close(self) -> None:
        """Hear and say no more."""
        self._messages.close()

    def _obey(self, orders: Mapping[str, Order]) -> NoReturn:
        try:
            while True:
                what, value, descriptors = self.hear()
                orders[what](value, descriptors)
        except (EOFError, OSError):
            log.error("the parent is gone")
        except Exception:
            log.exception("the parent's word could not be followed")
        finally:
            os._exit(1)  # nothing may outlive the parent
