"""Embeddings for who learns from them: of images sent now, and of images that were scored before."""

from collections.abc import Sequence

from beholder.engine.engine import Engine
from beholder.errors import BeholderError, InputError, ScoringFailed
from beholder.scoring.asked import Graph
from beholder.scoring.embedding import EmbeddingScorer
from beholder.types import F32, Image, Sample, Score


class Embeddings:
    """Embeds images through an engine, in batches with what others ask of it; thread-safe.

    Args:
        max_samples: images in one request to the engine.
    """

    def __init__(self, engine: Engine, max_samples: int) -> None:
        self._engine, self._max_samples = engine, max_samples

    def embed(
        self, images: Sequence[Image | InputError], encoder: Graph, timeout_s: float, request_id: str = ""
    ) -> list[F32 | BeholderError]:
        """Return the embedding of each image, shape (D,), or why it has none; blocks until all are there.

        Args:
            images: any number; an error is given back in its place.

        Raises:
            CapacityError: too much is in flight.
        """
        deadline_s = self._engine.clock() + timeout_s
        found: list[F32 | BeholderError] = []
        for start in range(0, len(images), self._max_samples):
            part = images[start : start + self._max_samples]
            samples = [image if isinstance(image, InputError) else Sample(image) for image in part]
            scorers = [EmbeddingScorer(encoder)]
            job = self._engine.submit(samples, scorers, deadline_s=deadline_s, request_id=request_id)
            found += [_embedding(result[encoder.name]) for result in job.wait()]
        return found

    def recall(self, image: bytes, encoder: Graph) -> F32 | None:
        """Return the embedding of an image that was scored before, by its digest; None where it is not remembered."""
        return self._engine.recall(image, encoder)


def _embedding(outcome: Score | BeholderError) -> F32 | BeholderError:
    if isinstance(outcome, Score):
        return ScoringFailed("no embedding") if outcome.embedding is None else outcome.embedding
    return outcome
