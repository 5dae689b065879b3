"""The limit: the same work with no service around it, as a script would do it, in a thread for each core.

Decode, prepare, stack, run, read the scores: the functions of the service itself, on the same images, without wire,
queue, event loop or metrics between them.
"""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beholder.clock import monotonic
from beholder.errors import InvalidSample
from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import apply, output_size
from beholder.scoring.asked import CANDIDATE, REFERENCE
from beholder.scoring.check import check_pixels
from beholder.scoring.scorer import GraphScorer
from beholder.types import U8, EncodedImage, Score

STAGES = ("decode", "prepare", "stack", "run", "head")
LARGEST = 32
"""Batch size up to which more is tried than a graph declares, where all images become the same size."""
TUNING_ROUNDS = 3
CUDA_RUNS = 2
"""Runs at the same time on a GPU: while one computes, the next is copied."""
Row = Mapping[str, U8]


@dataclass(frozen=True)
class File:
    """An image to score.

    Attributes:
        name: for people.
        reference: where the scorer takes one.
    """

    name: str
    candidate: bytes
    reference: bytes


@dataclass(frozen=True)
class Ran:
    """What a run of the loop showed.

    Attributes:
        images: how many were scored.
        seconds: of the wall's clock.
        cpu_s: of the whole process.
        stages_s: stage -> CPU time of the loop's threads; `run` also has what is left of `cpu_s`, which is that of the
            device's own threads.
    """

    images: int
    seconds: float
    cpu_s: float
    stages_s: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds for one image."""
        return self.cpu_s / self.images * 1e3

    @property
    def cores(self) -> float:
        """How many cores were busy."""
        return self.cpu_s / self.seconds

    def stage_ms(self, stage: str) -> float:
        """CPU milliseconds for one image in one of `STAGES`."""
        return self.stages_s[stage] / self.images * 1e3


class Loop:
    """One scorer's work on a device.

    Args:
        scorer: loaded.
        files: scored round and round, in this order.
        limits: of one image, as the service has them.
        threads: that work.
        runs: at the same time.
    """

    def __init__(self, scorer: GraphScorer, files: Sequence[File], limits: Limits, threads: int, runs: int) -> None:
        self.threads = threads
        self._scorer, self._files, self._limits = scorer, files, limits
        self._device = threading.Semaphore(runs)

    def check(self) -> None:
        """Score each file once.

        Raises:
            InvalidSample: one that can't be; names the file.
            BeholderError: it has no score.
        """
        worker = _Worker(self._scorer, self._limits, self._device)
        for file in {file.name: file for file in self._files}.values():
            try:
                worker.push(file, 1)
            except InvalidSample as error:
                raise InvalidSample(f"{file.name}: {error.message}") from error

    def sizes(self) -> list[int]:
        """Return batch sizes worth trying: powers of two."""
        graph = self._scorer.graph
        is_fixed = output_size(graph.image.steps) is not None
        largest = max(LARGEST, graph.max_batch_rows) if is_fixed else graph.max_batch_rows
        return [2**power for power in range(largest.bit_length())]

    def tune(self, sizes: Sequence[int], seconds: float) -> dict[int, float]:
        """Measure batch sizes in rounds that alternate, each run so many seconds.

        Returns:
            Batch size -> median of images per second.
        """
        rates: dict[int, list[float]] = {rows: [] for rows in sizes}
        for rows in sizes:
            self.run(rows, 0.0)  # the first run of a size is slower
        for _ in range(TUNING_ROUNDS):
            for rows in sizes:
                rates[rows].append(self.run(rows, seconds).rate)
        return {rows: statistics.median(its) for rows, its in rates.items()}

    def run(self, rows: int, seconds: float) -> Ran:
        """Work for some seconds in batches of so many rows; every thread runs at least one."""
        workers = [_Worker(self._scorer, self._limits, self._device) for _ in range(self.threads)]
        started, cpu_s = monotonic(), time.process_time()

        def work(number: int) -> None:
            files = itertools.cycle(self._files)
            offset = number * len(self._files) // self.threads
            workers[number].work(itertools.islice(files, offset, None), rows, started + seconds)

        threads = [_Thread(work, number) for number in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.finish()
        elapsed_s, cpu_s = monotonic() - started, time.process_time() - cpu_s
        spent = {stage: sum(worker.spent_s[stage] for worker in workers) for stage in STAGES}
        spent["run"] += max(0.0, cpu_s - sum(spent.values()))
        return Ran(sum(worker.images for worker in workers), elapsed_s, cpu_s, spent)


class _Thread(threading.Thread):
    """A thread whose error is its caller's."""

    def __init__(self, work: Callable[[int], None], number: int) -> None:
        super().__init__(name=f"loop-{number}", daemon=True)
        self._work, self._number = work, number
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._work(self._number)
        except Exception as error:
            self._error = error

    def finish(self) -> None:
        self.join()
        if self._error:
            raise self._error


class _Worker:
    """What one thread does, and what it spends."""

    def __init__(self, scorer: GraphScorer, limits: Limits, device: threading.Semaphore) -> None:
        self._scorer, self._limits, self._device = scorer, limits, device
        self._graph = scorer.graph
        self._waiting: dict[tuple[int, ...], list[Row]] = {}
        self.images = 0
        self.spent_s = dict.fromkeys(STAGES, 0.0)

    def work(self, files: "itertools.islice[File]", rows: int, until: float) -> None:
        for file in files:
            self.push(file, rows)
            if self.images and monotonic() >= until:
                break
        for batch in self._waiting.values():
            self._score(batch)

    def push(self, file: File, rows: int) -> None:
        """Prepare one image, and score what waits once there are so many of one size."""
        started = time.thread_time()
        images = {CANDIDATE: file.candidate, REFERENCE: file.reference}
        steps = self._graph.image.steps
        decoded = {role: decode(EncodedImage(images[role]), self._limits, role, steps) for role in self._graph.roles}
        check_pixels(self._graph.image, decoded[CANDIDATE], decoded.get(REFERENCE), "")
        started = self._spend("decode", started)
        row = {role: apply(steps, pixels) for role, pixels in decoded.items()}
        self._spend("prepare", started)
        batch = self._waiting.setdefault(row[CANDIDATE].shape, [])
        batch.append(row)
        if len(batch) == rows:
            self._score(batch)

    def _score(self, batch: list[Row]) -> None:
        if not batch:
            return
        started = time.thread_time()
        inputs = {role: np.stack([row[role] for row in batch]) for role in self._graph.roles}
        started = self._spend("stack", started)
        with self._device:
            outputs = self._graph.session.run(inputs)
        started = self._spend("run", started)
        for outcome in self._scorer.scores(outputs):
            if not isinstance(outcome, Score):
                raise outcome
        self._spend("head", started)
        self.images += len(batch)
        batch.clear()

    def _spend(self, stage: str, started: float) -> float:
        now = time.thread_time()
        self.spent_s[stage] += now - started
        return now
