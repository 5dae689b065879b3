"""A loaded scorer of the catalogue: turns the numbers of its graph into scores.

A row that fails, fails alone; a number that is not finite, or lies outside the declared range, is never a score.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beholder.errors import ScoringFailed
from beholder.inputs.map import encode_map
from beholder.runtime.session import Session
from beholder.scoring.asked import EMBEDDING, LABELS, MAP, SCORE, Graph, Reader
from beholder.scoring.spec import MapSpec, ScorerSpec
from beholder.types import F32, ErrorMap, Label, Outcome, Score, Tensor

log = logging.getLogger(__name__)

RANGE_SLACK = 1e-4
"""How far rounding may carry a score out of its range; such a score is the bound itself."""


@dataclass(frozen=True)
class GraphScorer:
    """A scorer of the catalogue: its graph, and its head where that graph is an encoder.

    Attributes:
        digest: SHA-256 of the scorer's own graph file, lowercase hex.
        draws: what its graph's `map` is; None where the graph draws none.
    """

    spec: ScorerSpec
    graph: Graph
    head: Session | None
    digest: str
    draws: MapSpec | None = None

    @property
    def reader(self) -> Reader:
        """Itself: it has rows of its own alone."""
        return self

    def read(
        self, outputs: Mapping[str, Tensor], asked: Sequence[tuple[int, Any]], size_px: tuple[int, ...] = ()
    ) -> Sequence[Outcome]:
        """Return the outcomes of the rows asked; see `Reader.read`."""
        rows = [row for row, _ in asked]
        is_all = rows == list(range(len(next(iter(outputs.values())))))
        return self.scores(outputs if is_all else {name: output[rows] for name, output in outputs.items()}, size_px)

    def scores(self, outputs: Mapping[str, Tensor], size_px: tuple[int, ...] = ()) -> list[Outcome]:
        """Turn the graph's outputs for N rows into N outcomes; a row that can't be a score is a ScoringFailed.

        Args:
            outputs: `embedding` (N, D) where there is a head, else `score` (N,) and maybe `labels` (N, L), or `map`
                (N, H, W) where it draws.
            size_px: (H, W) of the images, for those that draw.

        Raises:
            ScoringFailed: the head failed, or outputs are missing or of the wrong shape.
        """
        if self.head:
            outputs = self.head.run({EMBEDDING: outputs[EMBEDDING]})
        rows = next(iter(outputs.values())).shape[0]
        values = self._output(outputs, SCORE, (rows,))
        labels = self._output(outputs, LABELS, (rows, len(self.spec.labels))) if self.spec.labels else [None] * rows
        maps = self._maps(outputs, rows) if self.draws else [None] * rows
        parts = zip(values.tolist(), labels, maps, strict=True)
        outcomes = [self._outcome(value, row, errors, size_px) for value, row, errors in parts]
        failures = [outcome.message for outcome in outcomes if isinstance(outcome, ScoringFailed)]
        if failures:
            log.error("%d of %d rows have no score: %s", len(failures), rows, failures[0])
        return outcomes

    def _output(self, outputs: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> F32:
        array = outputs.get(name)
        if array is None or array.shape != shape:
            found = "nothing" if array is None else str(array.shape)
            raise ScoringFailed(f"{self.spec.name}: output {name}: want shape {shape}, got {found}")
        return array.astype(np.float32, copy=False)

    def _maps(self, outputs: Mapping[str, Tensor], rows: int) -> list[F32]:
        found = outputs[MAP].shape if MAP in outputs else ()
        return list(self._output(outputs, MAP, (rows, *(found[1:] if len(found) == 3 else (0, 0)))))

    def _outcome(self, value: float, row: F32 | None, errors: F32 | None, size_px: tuple[int, ...]) -> Outcome:
        try:
            labels = () if row is None else self._top(row)
            return Score(self._within(value, *self.spec.range_), labels, self._drawn(errors, size_px))
        except ScoringFailed as error:
            return error

    def _drawn(self, errors: F32 | None, size_px: tuple[int, ...]) -> ErrorMap | None:
        if errors is None or self.draws is None:
            return None
        if errors.shape != size_px:
            raise ScoringFailed(f"{self.spec.name}: output map: want the images' size {size_px}, got {errors.shape}")
        if not np.isfinite(errors).all():
            raise ScoringFailed(f"{self.spec.name}: want a map of finite numbers, got some that are not")
        return ErrorMap(encode_map(errors, self.draws.high), self.draws.high, self.draws.meaning)

    def _top(self, row: F32) -> tuple[Label, ...]:
        for value in (row.min(), row.max()):  # NaN, where there is one
            self._within(float(value), 0.0, 1.0)
        rarest = row.size - max(1, self.spec.top_labels)
        near = np.flatnonzero(row >= np.partition(row, rarest)[rarest])
        likeliest = near[np.argsort(-row[near], kind="stable")][: self.spec.top_labels]
        return tuple(Label(self.spec.labels[index], self._within(float(row[index]), 0.0, 1.0)) for index in likeliest)

    def _within(self, value: float, low: float, high: float) -> float:
        if not low - RANGE_SLACK <= value <= high + RANGE_SLACK or not math.isfinite(value):
            raise ScoringFailed(f"{self.spec.name}: want a finite number from {low:g} to {high:g}, got {value:g}")
        return min(max(value, low), high)
