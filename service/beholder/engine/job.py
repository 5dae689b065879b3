"""One request on its way: its samples, what is still missing, and who is told."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from beholder.engine.picture import Picture, size_bytes
from beholder.engine.queue import Entry
from beholder.errors import BeholderError, Cancelled, InputError
from beholder.scoring.asked import Graph, Scorer
from beholder.types import Outcome, Priority, Sample, SampleResult

log = logging.getLogger(__name__)


class Waits(Protocol):
    """Where entries wait."""

    def discard(self, entry: Entry[Any]) -> bool:
        """Take a row out unrun; False where it has left already."""
        ...


class Job:
    """A request that was admitted; thread-safe.

    Every sample gets exactly one outcome from every scorer, whatever happens; the first one counts.

    Args:
        samples: what to score; an error stands for a sample that could not even be read.
        scorers: with what.
        deadline_s: when its results should be ready; what is not done by then is dropped.
        on_result: told (sample index, results) once per sample, on a thread of the engine.
        on_sample_done: the engine's own bookkeeping, told before `on_result`.
    """

    def __init__(
        self,
        samples: Sequence[Sample | InputError],
        scorers: Sequence[Scorer],
        deadline_s: float,
        priority: Priority,
        request_id: str,
        on_result: Callable[[int, SampleResult], None] | None,
        on_sample_done: Callable[["SampleTask"], None],
    ) -> None:
        self.scorers = scorers
        self.graphs = tuple(dict.fromkeys(scorer.graph.name for scorer in scorers))
        self.deadline_s, self.priority, self.request_id = deadline_s, priority, request_id
        self._on_result = on_result
        self._on_sample_done = on_sample_done
        self._lock = threading.Lock()
        self._missing = len(samples)
        self._done = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._results: list[SampleResult] = []
        self.is_cancelled = False
        charged = set[int]()
        self.tasks = [SampleTask(self, index, sample, charged) for index, sample in enumerate(samples)]

    def cancel(self) -> None:
        """Give up: what has not run never will, and what runs is not listened to."""
        self.is_cancelled = True
        for task in self.tasks:
            task.settle_all(Cancelled("the caller gave up"))

    def wait(self, timeout_s: float | None = None) -> list[SampleResult]:
        """Block for the results, in the order of the samples.

        Raises:
            TimeoutError: not done in time.
        """
        if not self._done.wait(timeout_s):
            raise TimeoutError
        return self._results

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call back once all samples are done, at once where they are already; on a thread of the engine."""
        with self._lock:
            if not self._done.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def _sample_done(self, task: "SampleTask") -> None:
        self._on_sample_done(task)
        if self._on_result is not None:
            _call(self._on_result, task.index, task.results)
        with self._lock:
            self._missing -= 1
            if self._missing:
                return
            self._results = [task.results for task in self.tasks]
            # Jobs, tasks and entries know each other: a cycle would keep the images until the garbage collector comes.
            self.tasks = []
            self._done.set()
        for callback in self._callbacks:
            _call(callback)


class SampleTask:
    """One sample of a job and the outcomes that it has so far.

    Attributes:
        field: its path in the request, for messages.
        size_bytes: what its images brought; one that samples share counts for the first of them.
        pictures: role -> image, while it may still be needed.
        coming: names of the graphs in whose lanes a row of it will wait; guarded by the engine.
        waits: where its entries were put, for a cancellation.
    """

    def __init__(self, job: Job, index: int, sample: Sample | InputError, charged: set[int]) -> None:
        self.job, self.index, self.sample = job, index, sample
        self.field = f"samples[{index}]"
        images = (sample.candidate, sample.reference) if isinstance(sample, Sample) else ()
        own = {id(image): image for image in images if image and id(image) not in charged}
        self.size_bytes = sum(map(size_bytes, own.values()))
        charged.update(own)
        self.pictures: Mapping[str, Picture] = {}
        self.coming: set[str] = set()
        self.waits: list[tuple[Waits, Entry[Any]]] = []
        self._lock = threading.Lock()
        self._outcomes: dict[str, Outcome | None] = {scorer.spec.name: None for scorer in job.scorers}
        self._missing = len(self._outcomes)

    @property
    def is_done(self) -> bool:
        """Whether every scorer has answered."""
        return self._missing == 0

    @property
    def results(self) -> SampleResult:
        """The outcomes; complete once `is_done`."""
        return {name: outcome for name, outcome in self._outcomes.items() if outcome is not None}

    def open_scorers(self) -> list[Scorer]:
        """Return the scorers that have not answered yet."""
        return [scorer for scorer in self.job.scorers if self._outcomes[scorer.spec.name] is None]

    def settle(self, outcomes: Mapping[str, Outcome]) -> None:
        """Take outcomes by scorer name; later ones for the same scorer are ignored."""
        with self._lock:
            was_done = self.is_done
            for name, outcome in outcomes.items():
                if self._outcomes[name] is None:
                    self._outcomes[name] = outcome
                    self._missing -= 1
            completes = self.is_done and not was_done
        if completes:
            self.job._sample_done(self)

    def settle_all(self, error: BeholderError) -> None:
        """Give the error to every scorer that has not answered."""
        self.settle(dict.fromkeys(self._outcomes, error))

    def settle_graph(self, graph: Graph, error: BeholderError) -> None:
        """Give the error to every scorer that reads this graph and has not answered."""
        self.settle({scorer.spec.name: error for scorer in self.job.scorers if scorer.graph.name == graph.name})


def _call(callback: Callable[..., None], *args: object) -> None:
    """Call back; a fault of the caller's hurts nobody else's rows."""
    try:
        callback(*args)
    except Exception:
        log.exception("a callback of a job failed")
