"""Memory that processes of one server share.

It is a file without a name in any folder: it needs no room in /dev/shm, nobody else can open it, and the system takes
it back with the last process that has it, however that ends. Pages that were never written take no memory.
"""

import math
import mmap
import os
import tempfile

import numpy as np

from beholder.types import U8


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
