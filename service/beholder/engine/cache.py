"""What a graph said of an image that was seen before: a bounded LRU, so that a repeated image is free."""

import threading
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from beholder.types import Tensor

Key = tuple[bytes, str]
"""(image digest, graph name)."""
OVERHEAD_BYTES = 512
"""What an entry costs beside its arrays: key, dict and array headers; 400 to 500 bytes by sys.getsizeof."""


class OutputCache:
    """Outputs of single-image graphs by (digest, graph); thread-safe.

    Args:
        max_bytes: arrays and overhead together; 0 turns the cache off.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[Key, dict[str, Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Whether anything can be kept at all."""
        return self._max_bytes > 0

    @property
    def used_bytes(self) -> int:
        """What is held now."""
        return self._bytes

    def get(self, key: Key) -> Mapping[str, Tensor] | None:
        """Return the outputs, each of shape (1, ...), or None. Callers don't modify them."""
        with self._lock:
            outputs = self._entries.get(key)
            if outputs is not None:
                self._entries.move_to_end(key)
            return outputs

    def put(self, key: Key, outputs: Mapping[str, Tensor]) -> None:
        """Keep copies of one row's outputs, letting go of those unused longest."""
        kept = {name: np.array(array) for name, array in outputs.items()}
        size = _size(kept)
        if size > self._max_bytes:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes += size - (_size(old) if old else 0)
            self._entries[key] = kept
            while self._bytes > self._max_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= _size(dropped)


def _size(outputs: Mapping[str, Tensor]) -> int:
    return OVERHEAD_BYTES + sum(array.nbytes for array in outputs.values())
