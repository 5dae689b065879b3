"""An encoder asked for its embedding itself, for those who learn from it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beholder.errors import ScoringFailed
from beholder.scoring.asked import EMBEDDING, Graph, Reader
from beholder.types import F32, Direction, Kind, Outcome, Score, Tensor


@dataclass(frozen=True)
class EmbeddingSpec:
    """What asking an encoder is."""

    name: str
    kind = Kind.CONTENT
    direction = Direction.UNORDERED
    needs_reference = needs_prompt = False


@dataclass(frozen=True)
class EmbeddingScorer:
    """An encoder whose score is its embedding's length, and carries the embedding."""

    graph: Graph

    @property
    def spec(self) -> EmbeddingSpec:
        """What it is."""
        return EmbeddingSpec(self.graph.name)

    @property
    def reader(self) -> Reader:
        """Itself."""
        return self

    def read(
        self, outputs: Mapping[str, Tensor], asked: Sequence[tuple[int, Any]], size_px: tuple[int, ...] = ()
    ) -> Sequence[Outcome]:
        """Return a score with a copy of the embedding for each row asked; see `Reader.read`."""
        rows = embeddings_in(outputs)
        return [self._outcome(rows[row].copy()) for row, _ in asked]

    def _outcome(self, embedding: F32) -> Outcome:
        length = float(np.linalg.norm(embedding))
        if not math.isfinite(length):
            return ScoringFailed(f"{self.graph.name}: want an embedding of finite numbers, got some that are not")
        return Score(length, embedding=embedding)


def embeddings_in(outputs: Mapping[str, Tensor]) -> F32:
    """Return an encoder's embeddings, shape (N, D)."""
    return outputs[EMBEDDING].reshape(len(outputs[EMBEDDING]), -1).astype(np.float32, copy=False)
