"""Memory that processes of one server share, and who uses which part of it.

It is a file without a name in any folder: it needs no room in /dev/shm, nobody else can open it, and the system takes
it back with the last process that has it, however that ends. Pages that were never written take no memory.
"""

import math
import mmap
import os
import tempfile
from bisect import bisect_left, insort

import numpy as np

from beholder.types import U8

ALIGN_BYTES = 64


def shared_file(size_bytes: int) -> int:
    """Make a file for `Memory` and return its descriptor."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("beholder")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size_bytes)
    return descriptor


class Memory:
    """A shared file in this process' memory; the descriptor is closed, the memory stays while anything looks at it."""

    def __init__(self, descriptor: int) -> None:
        self.size_bytes = os.fstat(descriptor).st_size
        self.bytes: U8 = np.frombuffer(mmap.mmap(descriptor, self.size_bytes), np.uint8)
        os.close(descriptor)

    def view(self, offset: int, shape: tuple[int, ...]) -> U8:
        """Return the pixels that begin at `offset`."""
        return self.bytes[offset : offset + math.prod(shape)].reshape(shape)


class Room:
    """Which parts of a memory are taken: the lowest that fits is given, so that few pages are ever touched.

    Not thread-safe: its owner holds a lock.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._free = [(0, size_bytes)]
        self._taken: dict[int, int] = {}

    @property
    def used_bytes(self) -> int:
        """How much is taken."""
        return sum(self._taken.values())

    def take(self, size_bytes: int) -> int | None:
        """Return the offset of a part of this size; None where no gap is large enough."""
        wanted = max(ALIGN_BYTES, -(-size_bytes // ALIGN_BYTES) * ALIGN_BYTES)
        for place, (offset, size) in enumerate(self._free):
            if size >= wanted:
                self._free[place : place + 1] = [(offset + wanted, size - wanted)] if size > wanted else []
                self._taken[offset] = wanted
                return offset
        return None

    def give(self, offset: int) -> None:
        """Take a part back."""
        size = self._taken.pop(offset)
        place = bisect_left(self._free, (offset, 0))
        if place < len(self._free) and self._free[place][0] == offset + size:
            size += self._free.pop(place)[1]
        if place and sum(self._free[place - 1]) == offset:
            offset, before = self._free.pop(place - 1)
            size += before
        insort(self._free, (offset, size))
