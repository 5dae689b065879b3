"""The few calls of CUDA's runtime that ONNX Runtime's Python does not offer: streams, events, pinned memory.

Through ctypes, which lets other threads run meanwhile, on the library that is loaded already.
"""

import ctypes
import functools
import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np

from beholder.types import Tensor

TO_DEVICE, TO_HOST = 1, 2
NON_BLOCKING = 1
"""A stream that does not wait for the default one."""
NO_TIMING = 2
NAME = re.compile(r"/\S*libcudart[^/\s]*\.so[^/\s]*$", re.MULTILINE)


class CudaError(Exception):
    """CUDA is not here, or refused."""


@functools.cache
def library() -> ctypes.CDLL:
    """Return the runtime that this process has loaded.

    Raises:
        CudaError: it has none.
    """
    found = NAME.search(Path("/proc/self/maps").read_text())
    if not found:
        raise CudaError("no libcudart is loaded: this needs CUDA")
    return ctypes.CDLL(found[0])


def call(name: str, *arguments: Any) -> None:
    """Call a function of the runtime.

    Raises:
        CudaError: CUDA is not here, or the function says so.
    """
    code = getattr(library(), name)(*arguments)
    if code:
        text = library().cudaGetErrorString
        text.restype = ctypes.c_char_p
        raise CudaError(f"{name}: {text(code).decode()} ({code})")


def pinned(array: Tensor) -> Tensor:
    """Return a copy in pages of its own that stay where they are, so that the device reads them itself.

    They are registered, and held, for ever; what a bench pins is little.
    """
    pages = mmap.mmap(-1, max(1, array.nbytes))  # two arrays on one page could not both be registered
    copy = np.frombuffer(pages, array.dtype, array.size).reshape(array.shape)
    copy[...] = array
    call("cudaHostRegister", ctypes.c_void_p(copy.ctypes.data), ctypes.c_size_t(copy.nbytes), ctypes.c_uint(0))
    _PINNED.append(copy)
    return copy


_PINNED: list[Tensor] = []


def new_stream() -> ctypes.c_void_p:
    """Return a stream of its own."""
    stream = ctypes.c_void_p()
    call("cudaStreamCreateWithFlags", ctypes.byref(stream), ctypes.c_uint(NON_BLOCKING))
    return stream


def new_event() -> ctypes.c_void_p:
    """Return an event."""
    event = ctypes.c_void_p()
    call("cudaEventCreateWithFlags", ctypes.byref(event), ctypes.c_uint(NO_TIMING))
    return event


def copy(target: int, source: int, size: int, direction: int, stream: ctypes.c_void_p) -> None:
    """Begin to copy bytes; returns at once where the host's memory is pinned."""
    places = ctypes.c_void_p(target), ctypes.c_void_p(source), ctypes.c_size_t(size)
    call("cudaMemcpyAsync", *places, ctypes.c_int(direction), stream)


def record(event: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:
    """Let an event happen once all is done that the stream was given so far."""
    call("cudaEventRecord", event, stream)


def wait(stream: ctypes.c_void_p, event: ctypes.c_void_p) -> None:
    """Let a stream wait for an event."""
    call("cudaStreamWaitEvent", stream, event, ctypes.c_uint(0))


def await_event(event: ctypes.c_void_p) -> None:
    """Wait for an event here."""
    call("cudaEventSynchronize", event)
