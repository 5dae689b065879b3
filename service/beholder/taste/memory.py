"""Tastes as learned, kept in memory: those asked last, and none that is no longer what it was."""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator

from beholder.taste.scorer import TasteScorer


class Memory:
    """A bounded LRU of learned tastes by name; thread-safe.

    Args:
        max_bytes: of all together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._scorers: OrderedDict[str, tuple[str, TasteScorer]] = OrderedDict()
        self._lock = threading.Lock()
        self._reading = set[str]()

    @property
    def used_bytes(self) -> int:
        """What is held now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._scorers)

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Hold while a taste is read from its store and put here, by one thread at a time for each name."""
        with self._lock:
            self._reading.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._reading.discard(name)

    def get(self, name: str) -> TasteScorer | None:
        """Return a taste as learned; None where it has to be read."""
        with self._lock:
            found = self._scorers.get(name)
            if found is None:
                return None
            self._scorers.move_to_end(name)
            return found[1]

    def put(self, name: str, taste_id: str, scorer: TasteScorer) -> None:
        """Keep a taste, unless it was forgotten while it was `reading`: what was read may be from before it changed."""
        with self._lock:
            if name not in self._reading or scorer.size_bytes > self._max_bytes:
                return
            self._drop(name)
            self._scorers[name] = (taste_id, scorer)
            self._bytes += scorer.size_bytes
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._scorers)))

    def forget(self, name: str) -> None:
        """Let go of a taste that was changed or deleted."""
        with self._lock:
            self._reading.discard(name)
            self._drop(name)

    def forget_ids(self, ids: Collection[str]) -> None:
        """Let go of tastes by their ids."""
        with self._lock:
            self._reading.clear()  # of these, nobody knows the ids yet
            for name in [name for name, (taste_id, _) in self._scorers.items() if taste_id in ids]:
                self._drop(name)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._reading.clear()
            self._scorers.clear()
            self._bytes = 0

    def _drop(self, name: str) -> None:
        found = self._scorers.pop(name, None)
        self._bytes -= found[1].size_bytes if found else 0
