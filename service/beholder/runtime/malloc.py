"""How the process asks the system for memory.

Pixels come and go in buffers of megabytes. As glibc is set, what is freed goes back to the system, which clears every
page of the next buffer: a third of the time that an image of 2048x2048 takes to decode and resize.
"""

import ctypes
from collections.abc import Mapping

from beholder.config import MIB

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_MIB = 64
"""What each of glibc's arenas, of which threads that work at one time have one each, keeps free at its end; as large as
one of its heaps may grow."""
OWN_MIB = 32
"""Buffers from here on are mapped by themselves and go back to the system: half a heap, as high as glibc's own
adjustment would go."""
SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")


def keep_freed(environ: Mapping[str, str]) -> bool:
    """Have freed memory kept for the next image rather than given back; only glibc is known to need it.

    Args:
        environ: of the process; a setting of malloc's in it is the operator's will, and nothing is changed.

    Returns:
        Whether anything was set.
    """
    if any(name.startswith(SETTINGS) for name in environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, OWN_MIB * MIB) and mallopt(M_TRIM_THRESHOLD, KEPT_MIB * MIB))
