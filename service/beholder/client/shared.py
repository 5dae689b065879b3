"""Images in memory that a server on this host lends: written there once, named in the request, copied there once.

Rules:
1. A call never waits for room, and never fails for want of it: what does not fit, or is not worth it, is sent as bytes.
2. Whether the server is still there is looked at before every send; if it is gone, what was written goes as bytes.
3. Memory is asked for again at the next call, but not more often than each `RETRY_S`.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Message

from beholder.client import wire
from beholder.client.channel import Options
from beholder.client.region import ANSWER_S, Lease, borrow
from beholder.clock import Clock
from beholder.config import MIB
from beholder.errors import BeholderError, ConfigError, Unavailable
from beholder.types import U8, EncodedImage, Image
from beholder.v1 import samples_pb2, scorer_service_pb2, scorer_service_pb2_grpc

log = logging.getLogger(__name__)
RETRY_S = 1.0
WORTH_BYTES = 2**17
"""Smaller images are sent as bytes: they cost no more, and often less."""
ServerInfo = scorer_service_pb2.GetServerResponse


class Parcel:
    """The images of one call: where each lies until the call is over.

    Args:
        lease: asked at the first image; None sends bytes.
    """

    def __init__(self, lease: Callable[[], Lease | None] | None = None) -> None:
        self._find = lease
        self._lease: Lease | None = None
        self._written: dict[int, tuple[object, int]] = {}
        self._taken: list[int] = []
        self.written_bytes = 0

    def image_to(self, image: Image) -> samples_pb2.Image:
        """Return the message of an image; one object that comes twice is written once."""
        if self._find is not None:
            self._lease, self._find = self._find(), None
        if self._lease is None:
            return wire.image_to(image)
        data = image.data if isinstance(image, EncodedImage) else image.pixels
        if id(data) not in self._written:
            size_bytes = len(data) if isinstance(data, bytes) else data.nbytes
            start = self._place(self._lease, data) if size_bytes >= WORTH_BYTES else None
            if start is None:
                return wire.image_to(image)
            self._written[id(data)] = data, start  # held, so that its id and its place stay its own
            self.written_bytes += size_bytes
        return wire.shared_to(image, self._lease.token, self._written[id(data)][1])

    def check(self, request: Any) -> None:
        """Before a request is sent: where the server that lent is gone, put the bytes into it."""
        if self._lease is not None and self._written and not self._lease.is_good:
            self.inline(request)

    def inline(self, message: Message) -> None:
        """Put the bytes into a message, so that it outlives this."""
        if self._lease is not None:
            wire.unshare(message, self._lease.read)

    def close(self) -> None:
        """Let the places be written anew: the call is over."""
        lease, taken = self._lease, self._taken
        self._find, self._lease, self._written, self._taken = None, None, {}, []
        if lease is not None:
            for start in taken:
                lease.give_back(start)

    def _place(self, lease: Lease, data: "bytes | U8") -> int | None:
        start = lease.place_of(data)
        if start is None:
            start = lease.write(data)
            if start is not None:
                self._taken.append(start)
        return start

    def __del__(self) -> None:
        self.close()  # of a call that was never made


class Shared:
    """What a client borrows of its server; thread-safe.

    Args:
        where: path of the server's socket as this process sees it; True takes what the server tells, False nothing.
        size_mb: MiB to ask for.
        ask: asks the server for `GetServer`, within the seconds given.
        address: of the server.

    Raises:
        ConfigError: this is not Linux, or there are several servers.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | bool,
        size_mb: int,
        ask: Callable[[float], ServerInfo],
        address: str,
        clock: Clock,
    ) -> None:
        if where and (sys.platform != "linux" or size_mb < 1 or "," in address):
            want = "want Linux, shm_mb of at least 1 and one server"
            raise ConfigError(f"shm: {want}, got {sys.platform}, {size_mb} and {address}")
        self._is_closed = not where
        self._path = "" if isinstance(where, bool) else os.fspath(where)
        self._size_bytes, self._ask, self._clock = size_mb * MIB, ask, clock
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._next_try_s, self._told = 0.0, ""
        self._process = os.getpid()

    def lease(self) -> Lease | None:
        """Return what is lent, asking for it where nothing is; None where there is none to be had just now.

        Asking blocks, for a millisecond or `2 * ANSWER_S` at most.
        """
        if self._is_closed or os.getpid() != self._process:  # forked: the other process writes there too
            return None
        lease = self._lease
        if lease is not None and lease.is_good:
            return lease
        with self._lock:
            if self._lease is lease and not self._is_closed and self._clock() >= self._next_try_s:
                if lease is not None:
                    lease.close()
                self._lease = self._borrow()
                self._next_try_s = self._clock() + RETRY_S
            return self._lease if self._lease is not lease else None

    @property
    def is_lent(self) -> bool:
        """Whether anything is lent just now."""
        lease = self._lease
        return lease is not None and lease.is_good

    def held_parcel(self) -> Parcel:
        """Return what one call's images are sent by; it takes what is lent now, and never blocks."""
        return Parcel(lambda: self._lease if os.getpid() == self._process else None)

    def canvas(self, height_px: int, width_px: int) -> U8:
        """Return pixels (H, W, 3) in lent memory, else in this process's own; may block as `lease` does."""
        lease = self.lease()
        pixels = lease.canvas(height_px, width_px) if lease else None
        return np.empty((height_px, width_px, 3), np.uint8) if pixels is None else pixels

    def close(self) -> None:
        """Give it back."""
        with self._lock:
            lease, self._lease, self._is_closed = self._lease, None, True
        if lease is not None:
            lease.close()

    def _borrow(self) -> Lease | None:
        try:
            told = self._ask(ANSWER_S)
            if not told.HasField("shared_memory"):
                raise Unavailable("the server lends none: start it with BEHOLDER_SHM=PATH")
            path = self._path or told.shared_memory.socket
            return borrow(path, self._size_bytes, told.shared_memory.server_id)
        except (OSError, ValueError, OverflowError, BeholderError) as error:
            reason = str(error)
        if reason != self._told:
            self._told = reason
            log.warning("no memory is shared, images are sent as bytes: %s", reason)
        return None


def ask_server(
    address: str, credentials: grpc.ChannelCredentials | None, options: Options, timeout_s: float
) -> ServerInfo:
    """Ask a server for `GetServer`, over a connection of its own; blocks.

    Raises:
        BeholderError: it does not answer, or is too old to know the question.
    """
    made = (
        grpc.secure_channel(address, credentials, options) if credentials else grpc.insecure_channel(address, options)
    )
    with made as channel:
        try:
            return scorer_service_pb2_grpc.ScorerServiceStub(channel).GetServer(
                scorer_service_pb2.GetServerRequest(), timeout=timeout_s
            )
        except grpc.RpcError as error:
            raise wire.error_from_rpc(error) from None
