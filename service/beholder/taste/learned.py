"""Tastes as learned, in memory: read and fitted when first asked, and let go of when anybody changes them."""

import logging
import threading
from collections.abc import Mapping, Sequence

from beholder.clock import Clock
from beholder.errors import BeholderError, ConfigError, InputError, StoreFailed, TasteNotServed
from beholder.metrics import Metrics
from beholder.store.store import Store
from beholder.taste.eye import Eye
from beholder.taste.memory import Memory
from beholder.taste.scorer import TasteReader, TasteScorer

log = logging.getLogger(__name__)
LOCKS = 64
"""Readers of different tastes rarely wait for each other, those of one do: it is read and learned once."""


class Learned:
    """The tastes of a store as scorers; any thread may call any method.

    Args:
        eyes: the encoders that tastes may use.
        memory_bytes: what learned tastes may hold.
        poll_s: how often to look for what other replicas wrote.
    """

    def __init__(
        self, store: Store, eyes: Mapping[str, Eye], clock: Clock, metrics: Metrics, memory_bytes: int, poll_s: float
    ) -> None:
        self._store, self._clock, self._metrics = store, clock, metrics
        self._readers = {eye.digest: TasteReader(eye) for eye in eyes.values()}
        self._memory = Memory(memory_bytes)
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._stopping = threading.Event()
        self._poll_s, self._cursor = poll_s, -1
        self._watcher = threading.Thread(target=self._watch, name="tastes", daemon=True)
        metrics.tastes_in_memory.set_function(lambda: len(self._memory))
        metrics.taste_memory_bytes.set_function(lambda: self._memory.used_bytes)

    def start(self) -> None:
        """Begin to look for what other replicas write.

        Raises:
            ConfigError: the store can't be read.
        """
        try:
            self._cursor = self._store.changed_since(-1).cursor
        except BeholderError as error:
            raise ConfigError(f"taste_store: {error.message}") from error
        self._watcher.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def all_remembered(self, names: Sequence[str]) -> dict[str, TasteScorer] | None:
        """Return tastes by the names that they have as scorers, where none takes reading, else None; never blocks."""
        found = [self._memory.get(name) for name in names]
        scorers = {scorer.spec.name: scorer for scorer in found if scorer}
        if len(scorers) < len(names):
            return None
        self._metrics.taste_lookups.labels("hit").inc(len(names))
        return scorers

    def scorer(self, name: str, field: str) -> TasteScorer:
        """Return a taste, read and learned where it is not in memory; `field` is where the caller named it.

        Raises:
            TasteNotFound: there is none.
            TasteNotServed: it was told with an encoder that is not here.
            StoreUnavailable: it can't be read just now.
        """
        found = self._memory.get(name)
        self._metrics.taste_lookups.labels("hit" if found else "miss").inc()
        if found:
            return found
        try:
            with self._locks[hash(name) % LOCKS]:
                found = self._memory.get(name)
                if found:
                    return found
                with self._memory.reading(name):
                    return self._learn(name)
        except InputError as error:
            raise type(error)(error.message, field) from error

    def reader(self, encoder: str, digest: str) -> TasteReader:
        """Return who judges by tastes of this encoder.

        Raises:
            TasteNotServed: it is not here.
        """
        if digest not in self._readers:
            here = ", ".join(f"{it.eye.name} ({digest[:12]})" for digest, it in self._readers.items()) or "none"
            raise TasteNotServed(f"told with encoder {encoder} ({digest[:12]}), which is not here; there are: {here}")
        return self._readers[digest]

    def forget(self, name: str) -> None:
        """Let go of a taste that was, or may have been, changed."""
        self._memory.forget(name)

    def _learn(self, name: str) -> TasteScorer:
        taste = self._store.get(name)
        reader = self.reader(taste.encoder, taste.encoder_digest)
        started = self._clock()
        try:
            scorer = reader.scorer(taste)
        except ValueError as error:
            log.exception("taste %s can't be learned", name)
            raise StoreFailed("what is stored of this taste can't be read; the server's log has the reason") from error
        self._metrics.observe_stage("fit", reader.eye.name, self._clock() - started)
        self._memory.put(name, taste.id, scorer)
        return scorer

    def _watch(self) -> None:
        is_well = True
        while not self._stopping.wait(self._poll_s):
            try:
                news = self._store.changed_since(self._cursor)
            except BeholderError as error:
                if is_well:
                    log.warning("what others write to the store of tastes is not seen: %s", error.message)
                is_well = False
                continue
            is_well, self._cursor = True, news.cursor
            if news.is_everything:
                self._memory.clear()
            elif news.ids:
                self._memory.forget_ids(news.ids)
