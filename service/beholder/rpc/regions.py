"""Memory that callers on this host write images into: made here, handed out here, and read by copying alone.

Nothing of a caller's is ever opened, and sizes are sealed, so that nobody can take pages away from under a reader. What
a request names is copied once, before anything looks at it: a caller that writes over its image meanwhile gets the
score of what was copied, and the cache knows that by its own digest.
"""

import mmap
import os
import secrets
import threading
from collections.abc import Callable

from beholder.config import MIB
from beholder.errors import InvalidSample, QueueFull, SharingOff
from beholder.lease import TOKEN_BYTES
from beholder.v1 import samples_pb2

MAX_REGIONS = 256
"""Each costs up to three file descriptors, the mapping's, the connection's and one to hand out to processes that start
later, and many systems allow a process 1,024."""
LEAST_BYTES = MIB
"""Less than this is lent only to who wants no more."""
FREED_BYTES = 2 * MIB
"""Pages freed at a time: other threads wait for a millisecond."""
OFF = "this server lends no memory: start it with BEHOLDER_SHM=PATH, or send the image itself"


class Region:
    """One piece of memory that is lent; `read`, `free` and `close` are thread-safe.

    Args:
        token: names it in requests.
        fd: of the memory; owned from here on.

    Raises:
        OSError: there is no memory or file descriptor left.
    """

    def __init__(self, token: bytes, size_bytes: int, fd: int) -> None:
        self.token, self.size_bytes, self.fd = token, size_bytes, fd
        try:
            self._memory = mmap.mmap(fd, size_bytes)  # never written to, but what is read-only can't free pages
        except OSError:
            os.close(fd)
            raise

    def hand_out(self, give: Callable[[int], object]) -> None:
        """Call `give` with the file descriptor, once; it is closed after that."""
        try:
            give(self.fd)
        finally:
            os.close(self.fd)

    def read(self, offset: int, size_bytes: int) -> bytes | None:
        """Copy bytes that lie within the region; None once it is closed."""
        try:
            return self._memory[offset : offset + size_bytes]
        except ValueError:
            return None

    def free(self) -> None:
        """Free all pages, whoever still holds the memory; takes a while.

        Pages count for whom first touched them, and reading one that was never written touches it: a borrower that kept
        them would otherwise make this process's memory grow with each region that it borrows.
        """
        for start in range(0, self.size_bytes, FREED_BYTES):
            self._memory.madvise(mmap.MADV_REMOVE, start, min(FREED_BYTES, self.size_bytes - start))

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


class Regions:
    """All that is lent; thread-safe.

    Args:
        max_bytes: of all regions together; 0 lends nothing.
        max_request_bytes: of what one request may name.
        server_id: of the server, where another process of it lends; empty makes a new one.
    """

    def __init__(self, max_bytes: int, max_request_bytes: int, server_id: bytes = b"") -> None:
        self.max_bytes, self.max_request_bytes = max_bytes, max_request_bytes
        self.server_id = server_id or secrets.token_bytes(TOKEN_BYTES)
        self._lock = threading.Lock()
        self._lent: dict[bytes, Region] = {}

    @property
    def count(self) -> int:
        """Regions that are lent now."""
        return len(self._lent)

    @property
    def used_bytes(self) -> int:
        """Bytes of all of them."""
        with self._lock:
            return sum(region.size_bytes for region in self._lent.values())

    def lend(self, size_bytes: int) -> Region:
        """Make a region of this size, or of what is left where that is at least `LEAST_BYTES`.

        Raises:
            InvalidSample: nothing is wanted.
            QueueFull: too much is lent just now.
            OSError: the system has no memory or file descriptor left.
        """
        if size_bytes < 1:
            raise InvalidSample(f"want a region of at least 1 byte, got {size_bytes}")
        with self._lock:
            left = self.max_bytes - sum(region.size_bytes for region in self._lent.values())
            if len(self._lent) >= MAX_REGIONS:
                raise QueueFull(f"{MAX_REGIONS} regions are lent; that is the limit")
            if left < min(size_bytes, LEAST_BYTES):
                raise QueueFull(f"{left / MIB:g} MiB of {self.max_bytes / MIB:g} are left (BEHOLDER_SHM_MB)")
            size_bytes = min(size_bytes, left)
            region = Region(secrets.token_bytes(TOKEN_BYTES), size_bytes, _sealed(size_bytes))
            self._lent[region.token] = region
        return region

    def take_back(self, region: Region) -> None:
        """Free a region and forget it."""
        region.free()
        self.forget(region.token)

    def know(self, token: bytes, size_bytes: int, fd: int) -> None:
        """Let requests name a region that another process of this server lends; `fd` is owned from here on.

        Raises:
            OSError: the system has no memory or file descriptor left.
        """
        region = Region(token, size_bytes, fd)
        region.hand_out(lambda _: None)  # the mapping is enough
        with self._lock:
            self._lent[token] = region

    def forget(self, token: bytes) -> None:
        """Let requests name a region no more."""
        with self._lock:
            region = self._lent.pop(token, None)
        if region is not None:
            region.close()

    def find(self, token: bytes) -> Region | None:
        """Return a region that is lent; None where this token names none."""
        return self._lent.get(token)


def _sealed(size_bytes: int) -> int:
    """Make a file without a name whose size nobody can change, and return its descriptor."""
    import fcntl  # here, for systems that have none and lend nothing

    fd = os.memfd_create("beholder-images", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size_bytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except (OSError, OverflowError):
        os.close(fd)
        raise
    return fd


class Reader:
    """Reads what one request names: each part once, however often it is named, and no more than a message may hold."""

    def __init__(self, regions: Regions) -> None:
        self._regions, self._left_bytes = regions, regions.max_request_bytes
        self._read: dict[tuple[bytes, int, int], bytes] = {}

    def read(self, image: samples_pb2.SharedImage, field: str) -> bytes:
        """Copy the bytes of an image; `field` is its path in the request.

        Raises:
            SharingOff: this server lends no memory.
            InvalidSample: not lent, not within the region, or more than one request may bring.
        """
        if not self._regions.max_bytes:
            raise SharingOff(OFF, field)
        part = (image.token, image.offset_bytes, image.size_bytes)
        data = self._read.get(part)
        if data is None:
            data = self._read[part] = self._copy(*part, field)
        return data

    def _copy(self, token: bytes, offset: int, size_bytes: int, field: str) -> bytes:
        region = self._regions.find(token)
        if region is None:
            found = f"{len(token)} bytes that name none; it was taken back when its connection ended, or never lent"
            raise InvalidSample(f"token: want the {TOKEN_BYTES} bytes of a region that is lent, got {found}", field)
        if not 1 <= size_bytes <= region.size_bytes - offset:
            limit = f"at least 1 byte that ends within the region's {region.size_bytes}"
            raise InvalidSample(f"size_bytes: want {limit}, got {size_bytes} from offset_bytes {offset} on", field)
        if size_bytes > self._left_bytes:
            most = self._regions.max_request_bytes
            found = f"{size_bytes} after {most - self._left_bytes}"
            raise InvalidSample(f"size_bytes: want {most} bytes in one request at most, got {found}", field)
        data = region.read(offset, size_bytes)
        if data is None:
            raise InvalidSample("token: the region was taken back while it was read: its connection ended", field)
        self._left_bytes -= size_bytes
        return data


NOTHING_LENT = Regions(0, 0)
"""Of a server that lends no memory, and of an engine without a server."""
