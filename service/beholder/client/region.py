"""A region of memory that a server lent: where images are written, or drawn, for it to read."""

import mmap
import os
import socket
import threading
import weakref
from collections import deque

import numpy as np

from beholder.errors import Unavailable
from beholder.lease import MAX_PACKET_BYTES, Offer, answer_from, packet_socket, wish_to
from beholder.room import Room
from beholder.types import U8

ANSWER_S = 1.0
"""How long a server may take to lend."""


class Lease:
    """A region that is ours while its connection is open; thread-safe."""

    def __init__(self, connection: socket.socket, offer: Offer, fd: int) -> None:
        self.token, self._connection = offer.token, connection
        self._memory = memoryview(mmap.mmap(fd, offer.size_bytes))
        self._address = _address(np.frombuffer(self._memory, np.uint8))
        self._room, self._lock = Room(offer.size_bytes), threading.Lock()
        self._given_back: deque[int] = deque()
        connection.setblocking(False)

    @property
    def is_good(self) -> bool:
        """Whether the server still holds its end."""
        try:
            return bool(self._connection.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def write(self, data: "bytes | U8") -> int | None:
        """Copy a file, or pixels (H, W, 3), into the region; return where, None where there is no room."""
        source = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
        start = self._take(source.size)
        if start is not None:
            self._bytes(start, source.size).reshape(source.shape)[...] = source
        return start

    def read(self, start: int, size_bytes: int) -> bytes:
        """Return what was written; whether the server is there or not."""
        return self._bytes(start, size_bytes).tobytes()

    def canvas(self, height_px: int, width_px: int) -> U8 | None:
        """Return pixels (H, W, 3) that lie in the region, for as long as anything refers to them; None: no room."""
        size_bytes = height_px * width_px * 3
        start = self._take(size_bytes)
        if start is None:
            return None
        pixels = self._bytes(start, size_bytes)
        weakref.finalize(pixels, self.give_back, start).atexit = False
        return pixels.reshape(height_px, width_px, 3)

    def place_of(self, data: "bytes | U8") -> int | None:
        """Return where pixels lie that were drawn on a `canvas`; None where they lie elsewhere."""
        if isinstance(data, bytes) or not data.flags.c_contiguous:
            return None
        start = _address(data) - self._address
        return start if 0 <= start <= len(self._memory) - data.nbytes else None

    def give_back(self, start: int) -> None:
        """Let the place be written anew; takes no lock, so that the garbage collector may call it at any moment."""
        self._given_back.append(start)

    def close(self) -> None:
        """End it; the memory goes when nothing reads it any more."""
        self._connection.close()

    def _take(self, size_bytes: int) -> int | None:
        with self._lock:
            while self._given_back:
                self._room.give_back(self._given_back.popleft())
            return self._room.take(size_bytes)

    def _bytes(self, start: int, size_bytes: int) -> U8:
        return np.frombuffer(self._memory[start : start + size_bytes], np.uint8)


def borrow(path: str, size_bytes: int, server_id: bytes) -> Lease:
    """Borrow memory at a socket; blocks.

    Args:
        server_id: what the server tells of itself, which the socket must tell too.

    Raises:
        OSError: nobody listens there, or lends in time.
        Unavailable: nothing is lent.
    """
    import fcntl  # here, for systems that have none and don't ask

    connection = packet_socket()
    try:
        connection.settimeout(ANSWER_S)
        connection.connect(path)
        connection.send(wish_to(size_bytes))
        packet, fds, _, _ = socket.recv_fds(connection, MAX_PACKET_BYTES, 1)
        try:
            offer = answer_from(packet)
            if isinstance(offer, str):
                raise Unavailable(f"{path}: {offer}")
            if offer.server_id != server_id:
                raise Unavailable(f"{path} is the socket of another server than the one that is asked")
            if not fds or not fcntl.fcntl(fds[0], fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                raise Unavailable(f"{path} gives memory that could shrink while it is written to")
            return Lease(connection, offer, fds[0])
        finally:
            for fd in fds:
                os.close(fd)
    except BaseException:
        connection.close()
        raise


def _address(pixels: U8) -> int:
    return int(pixels.__array_interface__["data"][0])
