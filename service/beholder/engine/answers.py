"""What graphs say becomes outcomes: as a batch comes out, or from the cache when an image is seen again."""

import logging
from collections.abc import Mapping, Sequence

from beholder.clock import Clock
from beholder.engine.cache import OutputCache
from beholder.engine.job import SampleTask
from beholder.engine.lane import Row
from beholder.engine.picture import Picture
from beholder.errors import ScoringFailed
from beholder.metrics import Metrics
from beholder.scoring.asked import CANDIDATE, Graph, Reader, Scorer
from beholder.scoring.embedding import embeddings_in
from beholder.types import F32, Outcome, Tensor

log = logging.getLogger(__name__)


class Answers:
    """Settles tasks with what graphs say of their images; thread-safe.

    Args:
        cache_bytes: what the cache may hold; 0 keeps nothing.
    """

    def __init__(self, cache_bytes: int, clock: Clock, metrics: Metrics) -> None:
        self._cache, self._clock, self._metrics = OutputCache(cache_bytes), clock, metrics
        metrics.cache_bytes.set_function(lambda: self._cache.used_bytes)

    def keeps(self, graph: Graph) -> bool:
        """Tell whether the cache keeps what a graph says: of single images, but no maps, which would fill it."""
        return self._cache.is_on and len(graph.roles) == 1 and not graph.draws

    def repeat(self, task: SampleTask, graph: Graph, candidate: Picture) -> bool:
        """Answer what the graph said of this image before; False where it did not, or it is not kept."""
        if not self.keeps(graph):
            return False
        known = self._cache.get((candidate.digest(), graph.name))
        self._metrics.cache_lookups.labels(graph.name, "miss" if known is None else "hit").inc()
        if known is not None:
            self._answer([task], graph, known)
        return known is not None

    def recall(self, image: bytes, encoder: Graph) -> F32 | None:
        """Return the embedding that an encoder gave an image of this digest, shape (D,); None where it isn't kept."""
        known = self._cache.get((image, encoder.name))
        return None if known is None else embeddings_in(known)[0]

    def deliver(self, graph: Graph, rows: Sequence[Row], outputs: Mapping[str, Tensor]) -> None:
        """Answer the rows of a batch, one output row for each, and keep what may be asked again."""
        for index, row in enumerate(rows):
            if row.digest is not None:
                one = {name: output[index : index + 1] for name, output in outputs.items()}
                self._cache.put((row.digest, graph.name), one)
        self._answer([row.task for row in rows], graph, outputs, rows[0].tensors[CANDIDATE].shape[:2])

    def _answer(
        self, tasks: Sequence[SampleTask], graph: Graph, outputs: Mapping[str, Tensor], size_px: tuple[int, ...] = ()
    ) -> None:
        """Turn one graph's outputs, a row for each task, into outcomes; each reader reads once all that it is asked."""
        asked: dict[int, tuple[Reader, list[tuple[int, Scorer]]]] = {}
        for index, task in enumerate(tasks):
            for scorer in task.open_scorers():
                if scorer.graph.name == graph.name:
                    reader = scorer.reader
                    asked.setdefault(id(reader), (reader, []))[1].append((index, scorer))
        for reader, pairs in asked.values():
            started = self._clock()
            outcomes = _outcomes(reader, outputs, pairs, size_px)
            self._metrics.observe_stage("head", graph.name, self._clock() - started)
            for (index, scorer), outcome in zip(pairs, outcomes, strict=True):
                tasks[index].settle({scorer.spec.name: outcome})


def _outcomes(
    reader: Reader, outputs: Mapping[str, Tensor], pairs: Sequence[tuple[int, Scorer]], size_px: tuple[int, ...]
) -> Sequence[Outcome]:
    try:
        return reader.read(outputs, pairs, size_px)
    except Exception:
        names = ", ".join(sorted({scorer.spec.name for _, scorer in pairs}))
        log.exception("%s could not read %d rows of graph %s", names, len(pairs), pairs[0][1].graph.name)
        return [ScoringFailed(f"{scorer.spec.name} failed; the server's log has the reason") for _, scorer in pairs]
