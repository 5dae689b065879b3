"""What graphs say becomes outcomes: as a batch comes out, or from the cache when an image is seen again."""

import logging
from collections.abc import Mapping, Sequence

from beholder.clock import Clock
from beholder.engine.cache import OutputCache
from beholder.engine.job import SampleTask
from beholder.engine.lane import Lane, Row
from beholder.engine.picture import Picture
from beholder.errors import ScoringFailed
from beholder.metrics import Metrics
from beholder.scoring.scorer import CANDIDATE, Graph, Scorer
from beholder.types import Outcome, Tensor

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

    def deliver(self, lane: Lane, rows: Sequence[Row], outputs: Mapping[str, Tensor]) -> None:
        """Answer the rows of a batch, one output row for each, and keep what may be asked again."""
        for index, row in enumerate(rows):
            if row.digest is not None:
                one = {name: output[index : index + 1] for name, output in outputs.items()}
                self._cache.put((row.digest, lane.graph.name), one)
        self._answer([row.task for row in rows], lane.graph, outputs, rows[0].tensors[CANDIDATE].shape[:2])

    def _answer(
        self, tasks: Sequence[SampleTask], graph: Graph, outputs: Mapping[str, Tensor], size_px: tuple[int, ...] = ()
    ) -> None:
        """Turn one graph's outputs, a row for each task, into outcomes; each head runs once for all that ask it."""
        asked: dict[str, tuple[Scorer, list[int]]] = {}
        for index, task in enumerate(tasks):
            for scorer in task.open_scorers():
                if scorer.graph.name == graph.name:
                    asked.setdefault(scorer.spec.name, (scorer, []))[1].append(index)
        for name, (scorer, indices) in asked.items():
            started = self._clock()
            picked = outputs if len(indices) == len(tasks) else {key: out[indices] for key, out in outputs.items()}
            outcomes = _outcomes(scorer, picked, len(indices), size_px)
            self._metrics.observe_stage("head", graph.name, self._clock() - started)
            for index, outcome in zip(indices, outcomes, strict=True):
                tasks[index].settle({name: outcome})


def _outcomes(scorer: Scorer, outputs: Mapping[str, Tensor], rows: int, size_px: tuple[int, ...]) -> Sequence[Outcome]:
    try:
        return scorer.scores(outputs, size_px)
    except Exception:
        log.exception("scorer %s could not read %d rows of graph %s", scorer.spec.name, rows, scorer.graph.name)
        return [ScoringFailed(f"{scorer.spec.name} failed; the server's log has the reason")] * rows
