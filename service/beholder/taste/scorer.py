"""Tastes asked as scorers: `taste/NAME` on the embedding of its encoder, rows of many tastes read together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from beholder.errors import ScoringFailed
from beholder.scoring.asked import Graph, Scorer
from beholder.scoring.embedding import embeddings_in
from beholder.store.opinions import Source, Taste
from beholder.taste.eye import Eye
from beholder.taste.head import F64, Head, counted_sd
from beholder.taste.learner import fit
from beholder.types import F32, Direction, Kind, Outcome, SampleResult, Score, TasteVerdict, Tensor

PREFIX = "taste/"
NOTHING_TOLD = "nothing was told yet"
FLIPS = "a change that people can't see may turn the verdict"
IS_FAR = "the image is far from all that is known"
ONLY_LIKES = "only likes were told: rank candidates, or tell what is not liked"


@dataclass(frozen=True)
class TasteSpec:
    """What a taste is to those who ask it."""

    name: str
    kind = Kind.TASTE
    direction = Direction.HIGHER_IS_BETTER
    needs_reference = needs_prompt = False


@dataclass(frozen=True, eq=False)
class TasteScorer:
    """A taste of one version, as learned.

    Attributes:
        is_told: whether anything was said.
        likes: the taste, where nothing but likes was said: then candidates that are ranked are their own background.
    """

    spec: TasteSpec
    version: int
    head: Head
    reader: "TasteReader"
    is_told: bool
    likes: Taste | None

    @property
    def graph(self) -> Graph:
        """Its encoder's."""
        return self.reader.eye.graph

    @property
    def size_bytes(self) -> int:
        """What it takes of memory."""
        examples = self.likes.embeddings.values() if self.likes else ()
        return self.head.size_bytes + sum(embedding.nbytes for embedding in examples)


class TasteReader:
    """Judges embeddings of one encoder by tastes; thread-safe."""

    def __init__(self, eye: Eye) -> None:
        self.eye = eye

    def scorer(self, taste: Taste) -> TasteScorer:
        """Learn a taste.

        Raises:
            ValueError: an embedding of another encoder.
        """
        is_told = bool(taste.verdicts or taste.choices)
        only_likes = is_told and not taste.choices
        only_likes = only_likes and all(verdict.source is Source.LIKE for verdict in taste.verdicts.values())
        head = fit(taste, self.eye.background, self.eye.prior)
        spec = TasteSpec(PREFIX + taste.name)
        return TasteScorer(spec, taste.version, head, self, is_told, taste if only_likes else None)

    def read(
        self, outputs: Mapping[str, Tensor], asked: Sequence[tuple[int, TasteScorer]], size_px: tuple[int, ...] = ()
    ) -> Sequence[Outcome]:
        """Return the outcome of each (row, taste); see `Reader.read`."""
        embeddings = embeddings_in(outputs)
        z = {row: self.eye.background.place(embeddings[row]) for row in {row for row, _ in asked}}
        return [self._outcome(scorer, z[row], embeddings[row]) for row, scorer in asked]

    def among(self, scorer: TasteScorer, likes: Taste, embeddings: F32) -> list[Score]:
        """Judge candidates (N, D) by a taste that was only told what is liked, against the middle of the candidates."""
        background = self.eye.background.around(embeddings)
        scorer = replace(scorer, head=fit(likes, background, self.eye.prior), likes=None)
        return [_score(scorer, z) for z in background.project(embeddings)]

    def _outcome(self, scorer: TasteScorer, z: F64, embedding: F32) -> Outcome:
        if not isfinite(z.dot(z)):
            return ScoringFailed(f"{self.eye.name}: want an embedding of finite numbers, got some that are not")
        return _score(scorer, z, embedding.copy() if scorer.likes else None)


def name_in(scorer: str) -> str | None:
    """Return the name of the taste that is asked as this scorer; None where it is no taste."""
    return scorer.removeprefix(PREFIX) if scorer.startswith(PREFIX) else None


def judged_among(scorers: Sequence[Scorer], results: Sequence[SampleResult]) -> list[SampleResult]:
    """Return the results of candidates that are ranked, with those tastes that were only told likes judged anew."""
    found = [dict(result) for result in results]
    for scorer in scorers:
        if isinstance(scorer, TasteScorer) and scorer.likes:
            name = scorer.spec.name
            rows = {index: _embedding(result[name]) for index, result in enumerate(found)}
            known = {index: embedding for index, embedding in rows.items() if embedding is not None}
            if len(known) > 1:
                scores = scorer.reader.among(scorer, scorer.likes, np.stack(list(known.values())))
                for index, score in zip(known, scores, strict=True):
                    found[index][name] = score
    return list(found)


def _score(scorer: TasteScorer, z: F64, embedding: F32 | None = None) -> Score:
    said = scorer.head.say(z)
    reasons = (
        (not scorer.is_told, NOTHING_TOLD),
        (scorer.likes is not None, ONLY_LIKES),
        (scorer.is_told and said.flips, FLIPS),
        (scorer.is_told and said.is_far, IS_FAR),
    )
    why_unsure = "; ".join(reason for is_so, reason in reasons if is_so)
    verdict = TasteVerdict(scorer.version, said.mean, counted_sd(said.sd), said.percentile, why_unsure)
    return Score(said.p_like, taste=verdict, embedding=embedding)


def _embedding(outcome: Outcome) -> F32 | None:
    return outcome.embedding if isinstance(outcome, Score) else None
