"""The same work without a service: threads that decode, prepare, stack and run, and nothing else."""

import itertools
import os
import statistics
import threading
import time
from collections.abc import Sequence

import numpy as np

from beholder.inputs.image import Limits, decode
from beholder.inputs.steps import apply
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog, shipped_models
from beholder.scoring.load import load_scorers
from beholder.types import EncodedImage

LIMITS = Limits(max_bytes=2**30, max_pixels=10**9)
BATCH_ROWS = (1, 2, 4, 8, 16, 32)
TUNING_ROUNDS = 3


class PlainLoop:
    """One scorer's loop on the CPU, a thread for each core.

    Attributes:
        batch_rows: the best batch size, once `tune` found it.
    """

    def __init__(self, scorer: str, images: Sequence[bytes]) -> None:
        loaded = load_scorers(load_catalog([shipped_models()]), [scorer], Device("cpu", 0, 1), 0)
        self._graph = loaded.scorers[scorer].graph
        self._images = [EncodedImage(image) for image in images]
        self.threads = len(os.sched_getaffinity(0))
        self.batch_rows = 1

    def tune(self, seconds: float) -> dict[int, float]:
        """Find the best batch size; return images per second by size."""
        runs = [{rows: self.run(seconds, rows)[0] for rows in BATCH_ROWS} for _ in range(TUNING_ROUNDS)]
        rates = {rows: statistics.median(run[rows] for run in runs) for rows in BATCH_ROWS}
        self.batch_rows = max(rates, key=lambda rows: rates[rows])
        return rates

    def run(self, seconds: float, batch_rows: int = 0) -> tuple[float, float]:
        """Work for some seconds; return images per second and CPU milliseconds for each."""
        rows = batch_rows or self.batch_rows
        done: list[int] = []
        started, cpu_s = time.perf_counter(), time.process_time()

        def work() -> None:
            images = itertools.cycle(self._images)
            while time.perf_counter() < started + seconds:
                self._batch(list(itertools.islice(images, rows)))
                done.append(rows)

        threads = [threading.Thread(target=work) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
        return sum(done) / elapsed_s, cpu_s / sum(done) * 1e3

    def _batch(self, images: Sequence[EncodedImage]) -> None:
        pixels = [apply(self._graph.image.steps, decode(one, LIMITS, "candidate")) for one in images]
        self._graph.session.run({"candidate": np.stack(pixels)})
